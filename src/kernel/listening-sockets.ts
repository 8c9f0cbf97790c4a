import { readdir, readFile, readlink } from 'node:fs/promises';
import { endianness } from 'node:os';
import type { Files } from './files.ts';

/** A socket that takes packets from anybody: a listening TCP socket, or a UDP socket without a peer. */
export interface ListeningSocket {
  readonly protocol: 'TCP' | 'UDP';
  /** Canonical; `0.0.0.0` and `::` take packets to every address, `::` usually of both families. */
  readonly address: string;
  readonly port: number;
  /** Who holds it; absent where we may not see other users' processes. */
  readonly process?: SocketOwner;
}

/** A process that holds a socket. */
export interface SocketOwner {
  readonly pid: number;
  /** As the kernel names it, at most 15 characters; `portwright` for our own agent. */
  readonly name: string;
}

/** The owners of sockets by inode; those that cannot be seen are left out. Never throws. */
export type FindOwners = (inodes: ReadonlySet<string>) => Promise<ReadonlyMap<string, SocketOwner>>;

const socketFiles = [
  { path: '/proc/net/tcp', protocol: 'TCP', state: '0A' },
  { path: '/proc/net/tcp6', protocol: 'TCP', state: '0A' },
  { path: '/proc/net/udp', protocol: 'UDP', state: '07' },
  { path: '/proc/net/udp6', protocol: 'UDP', state: '07' },
] as const;

/** What is asked of the sockets. */
export interface SocketQuery {
  /** The sockets that count; all when left out. Only their owners are looked for, which is what costs. */
  readonly isWanted?: (socket: Pick<ListeningSocket, 'protocol' | 'port'>) => boolean;
  readonly findOwners?: FindOwners;
}

/** Those of this network namespace; what cannot be read counts as none. */
export async function listeningSockets(
  files: Pick<Files, 'read'>,
  { isWanted = () => true, findOwners = socketOwners }: SocketQuery = {},
): Promise<readonly ListeningSocket[]> {
  const found: Socket[] = [];
  for (const { path, protocol, state } of socketFiles) {
    const text = await files.read(path).catch(() => undefined);
    found.push(...socketsOf(text ?? '', protocol, state).filter(isWanted));
  }
  if (found.length === 0) return [];
  const owners = await findOwners(new Set(found.map(({ inode }) => inode)));
  return found.map(({ inode, ...socket }) => {
    const process = owners.get(inode);
    return process === undefined ? socket : { ...socket, process };
  });
}

/** Looks through the open files of every process that we may look into. */
async function socketOwners(inodes: ReadonlySet<string>): Promise<ReadonlyMap<string, SocketOwner>> {
  const owners = new Map<string, SocketOwner>();
  const entries = await readdir('/proc').catch(() => []);
  for (const pid of entries.filter((name) => /^\d+$/.test(name))) {
    for (const descriptor of await readdir(`/proc/${pid}/fd`).catch(() => [])) {
      const target = await readlink(`/proc/${pid}/fd/${descriptor}`).catch(() => '');
      const inode = /^socket:\[(\d+)\]$/.exec(target)?.[1];
      if (inode === undefined || !inodes.has(inode) || owners.has(inode)) continue;
      const name = await processName(pid);
      if (name !== '') owners.set(inode, { pid: Number(pid), name });
    }
  }
  return owners;
}

/** To the kernel every Node.js program is `node`; ours is told by its command line. */
async function processName(pid: string): Promise<string> {
  const name = (await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '')).trim();
  const words = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0');
  return words.slice(0, 2).some((word) => ownProgram.test(word)) ? 'portwright' : name;
}

/** `/usr/bin/portwright`, or the file that it stands for: `/opt/portwright/dist/main.js`. */
const ownProgram = /(^|\/)portwright(\/(dist\/)?main\.js)?$/;

interface Socket {
  readonly protocol: 'TCP' | 'UDP';
  readonly address: string;
  readonly port: number;
  readonly inode: string;
}

/** Lines: `0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 547 …`, the tenth is the inode. */
function socketsOf(text: string, protocol: 'TCP' | 'UDP', state: string): readonly Socket[] {
  return text.split('\n').flatMap((line) => {
    // A busy host has many thousand connections; nearly all lines end here.
    if (!line.includes(` ${state} `)) return [];
    const [, local = '', , lineState, , , , , , inode = ''] = line.trim().split(/ +/);
    const [address = '', port = ''] = local.split(':');
    if (lineState !== state) return [];
    return [{ protocol, address: addressOf(address), port: Number.parseInt(port, 16), inode }];
  });
}

/** The kernel prints addresses as 32-bit words in the byte order of the machine. */
function addressOf(hex: string): string {
  const bytes = (hex.match(/.{8}/g) ?? []).flatMap((word) => {
    const ofWord = (word.match(/../g) ?? []).map((byte) => Number.parseInt(byte, 16));
    return endianness() === 'LE' ? ofWord.reverse() : ofWord;
  });
  if (bytes.length === 4) return bytes.join('.');
  const groups = Array.from({ length: 8 }, (_, at) => ((bytes[2 * at] ?? 0) << 8) | (bytes[2 * at + 1] ?? 0));
  if (groups.every((group) => group === 0)) return '::';
  return new URL(`http://[${groups.map((group) => group.toString(16)).join(':')}]`).hostname.slice(1, -1);
}
