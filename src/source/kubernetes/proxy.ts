import { addressKind, cidrContains, parseAddress, parseCidr } from '../address.ts';

/** A proxy was named in a way that leads nowhere. Never shows a name or password that stands in its address. */
export class ProxyAddressError extends Error {
  override readonly name = 'ProxyAddressError';
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The proxy on the way to the API server, as client-go chooses it: the `proxy-url` of the kubeconfig; where that is
 * empty what HTTPS_PROXY (for an `http:` server HTTP_PROXY) says, unless NO_PROXY names the server. Undefined: the way
 * is straight.
 */
export function proxyOf(server: URL, proxyUrl: string, env: Environment): URL | undefined {
  if (proxyUrl !== '') return proxyAddress('kubeconfig: proxy-url', proxyUrl);
  const variable = server.protocol === 'http:' ? 'HTTP_PROXY' : 'HTTPS_PROXY';
  const given = ofEnvironment(env, variable);
  if (given === '' || isExempt(server, ofEnvironment(env, 'NO_PROXY'))) return undefined;
  return proxyAddress(variable, given.includes('://') ? given : `http://${given}`);
}

function ofEnvironment(env: Environment, name: string): string {
  return (env[name] || env[name.toLowerCase()]) ?? '';
}

function proxyAddress(where: string, text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || url.hostname === '' || !/^(?:https?|socks5h?):$/.test(url.protocol)) {
    throw new ProxyAddressError(
      `${where}: not the address of a proxy, expected http://, https:// or socks5:// with host and port`,
    );
  }
  return url;
}

/** Whether a list such as `10.0.0.0/8,.example.com,api.test:6443` takes the server out; loopback always is. */
function isExempt(server: URL, list: string): boolean {
  const host = hostOf(server);
  const address = parseAddress(host)?.text;
  if (host === 'localhost' || (address !== undefined && addressKind(address) === 'loopback')) return true;
  return list.split(',').some((entry) => exempts(entry.trim().toLowerCase(), host, String(portOf(server))));
}

function exempts(entry: string, host: string, serverPort: string): boolean {
  if (entry === '*') return true;
  if (parseCidr(entry) !== undefined) return cidrContains(entry, host);
  const [, bracketed, name = entry, port = ''] = /^(?:\[([^\]]*)\]|([^:]*)):([^:]*)$/.exec(entry) ?? [];
  const wanted = bracketed ?? name;
  if (wanted === '' || (port !== '' && port !== serverPort)) return false;
  const address = parseAddress(wanted)?.text;
  if (address !== undefined) return address === parseAddress(host)?.text;
  // `.example.com` and `*.example.com` mean what is below, `example.com` that and itself.
  const suffix = wanted.replace(/^\*\./, '.');
  return suffix.startsWith('.') ? host.endsWith(suffix) : host === suffix || host.endsWith(`.${suffix}`);
}

/** The host of a URL without the brackets that an IPv6 address has there. */
export function hostOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '');
}

/** The port of a URL, or the usual one of its scheme. */
export function portOf(url: URL): number {
  if (url.port !== '') return Number(url.port);
  if (url.protocol.startsWith('socks')) return 1080;
  return url.protocol === 'http:' ? 80 : 443;
}
