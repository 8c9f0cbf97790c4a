import { createPublicKey, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';

/** A certificate of a test and its key, in PEM. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** An authority of a test, which nothing else trusts. */
export interface Authority extends Certificate {
  /** A certificate for a server at 127.0.0.1 and localhost, or for a client of this name. */
  issue(commonName: string): Certificate;
}

/** Makes a new certificate authority. Tests make their own so that no private key lies in the repository. */
export function createAuthority(): Authority {
  const { privateKey } = newKey();
  const name = 'portwright test authority';
  const cert = certificate({
    subject: name,
    issuer: name,
    publicKey: privateKey,
    signer: privateKey,
    isAuthority: true,
  });
  return {
    cert,
    key: pemOf(privateKey),
    issue: (commonName) => {
      const own = newKey().privateKey;
      const options = { subject: commonName, issuer: name, publicKey: own, signer: privateKey, isAuthority: false };
      return { cert: certificate(options), key: pemOf(own) };
    },
  };
}

function newKey(): { readonly privateKey: KeyObject } {
  return generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
}

function pemOf(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}

interface CertificateOptions {
  readonly subject: string;
  readonly issuer: string;
  readonly publicKey: KeyObject;
  readonly signer: KeyObject;
  readonly isAuthority: boolean;
}

/** X.509 version 3 (RFC 5280) with an ECDSA signature over SHA-256. */
function certificate({ subject, issuer, publicKey, signer, isAuthority }: CertificateOptions): string {
  const algorithm = sequence(objectId(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02));
  const serial = randomBytes(8);
  serial[0] = 1;
  const body = sequence(
    tagged(0xa0, integer(Buffer.from([2]))),
    integer(serial),
    algorithm,
    distinguishedName(issuer),
    sequence(time('20200101000000Z'), time('21200101000000Z')),
    distinguishedName(subject),
    createPublicKey(publicKey).export({ type: 'spki', format: 'der' }),
    tagged(0xa3, sequence(basicConstraints(isAuthority), ...(isAuthority ? [] : [alternativeNames()]))),
  );
  const signature = sign('sha256', body, signer);
  const der = sequence(body, algorithm, tagged(0x03, Buffer.from([0]), signature));
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}

function distinguishedName(commonName: string): Buffer {
  const attribute = sequence(objectId(0x55, 0x04, 0x03), tagged(0x0c, Buffer.from(commonName)));
  return sequence(tagged(0x31, attribute));
}

function basicConstraints(isAuthority: boolean): Buffer {
  const value = sequence(...(isAuthority ? [tagged(0x01, Buffer.from([0xff]))] : []));
  return sequence(objectId(0x55, 0x1d, 0x13), tagged(0x01, Buffer.from([0xff])), tagged(0x04, value));
}

function alternativeNames(): Buffer {
  const names = sequence(tagged(0x87, Buffer.from([127, 0, 0, 1])), tagged(0x82, Buffer.from('localhost')));
  return sequence(objectId(0x55, 0x1d, 0x11), tagged(0x04, names));
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return tagged(0x30, ...parts);
}

function objectId(...bytes: readonly number[]): Buffer {
  return tagged(0x06, Buffer.from(bytes));
}

function integer(bytes: Buffer): Buffer {
  return tagged(0x02, bytes);
}

function time(text: string): Buffer {
  return tagged(0x18, Buffer.from(text));
}

/** One element of DER: tag, length, content. */
function tagged(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  return Buffer.concat([Buffer.from([tag, ...lengthBytes(content.length)]), content]);
}

function lengthBytes(length: number): readonly number[] {
  if (length < 0x80) return [length];
  return length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
}
