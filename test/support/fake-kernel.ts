import type { Backend } from '../../src/agent/backend.ts';
import { createIptablesBackend } from '../../src/iptables/backend.ts';
import type { LoadFailure } from '../../src/kernel/classify.ts';
import { LoadError } from '../../src/kernel/errors.ts';
import type { IPFamily } from '../../src/source/objects.ts';

interface Chain {
  policy: string;
  readonly rules: string[];
}

/**
 * A kernel in memory that takes what iptables-restore would be given, and prints what iptables-save would print.
 * Tables commit one by one; a chain that something jumps to cannot be deleted.
 */
export class FakeKernel {
  #tables = new Map<string, Map<string, Chain>>();
  /** How often it was read, and which scripts it took. */
  lists = 0;
  readonly scripts: string[] = [];
  /** Asked before each load: a failure to answer with. */
  failure: (script: string) => LoadFailure['kind'] | undefined = () => undefined;
  /** Rules with this text are refused, with the line. */
  refuses: string | undefined;
  /** Chains of the kernel count packets: the listing is another one each time. */
  countsPackets = false;
  /** Why it cannot be read. */
  listFailure: string | undefined;
  /** Told of each commit of a script: the rules that went from a table, and those that came. */
  onCommit: (change: { readonly gone: readonly string[]; readonly come: readonly string[] }) => void = () => undefined;
  #kills = 0;

  backend(family: IPFamily = 'IPv4'): Backend {
    return createIptablesBackend(
      { family, variant: 'nft' },
      { counters: false },
      {
        list: () => this.#list(),
        listNews: async (_family, glance) => {
          const text = await this.#list();
          glance.see(text);
          return glance.isNews ? text : undefined;
        },
        load: async (_family, script) => {
          await Promise.resolve();
          this.load(script);
        },
        tryLoad: (_family, script) => Promise.resolve(this.refuses === undefined || !script.includes(this.refuses)),
      },
    );
  }

  #list(): Promise<string> {
    this.lists += 1;
    if (this.listFailure !== undefined) return Promise.reject(new Error(this.listFailure));
    return Promise.resolve(this.save());
  }

  save(): string {
    return [...this.#tables]
      .map(([table, chains]) => {
        const names = [...chains].map(
          ([name, { policy }]) => `:${name} ${policy} [${this.countsPackets && policy !== '-' ? this.lists : 0}:0]\n`,
        );
        const rules = [...chains.values()].flatMap((chain) => chain.rules.map((rule) => `${rule}\n`));
        return `*${table}\n${names.join('')}${rules.join('')}COMMIT\n`;
      })
      .join('');
  }

  /** As `iptables-restore --noflush`; a killed one has committed none, one or two tables by then. */
  load(script: string): void {
    const kind = this.failure(script);
    if (kind !== undefined && kind !== 'killed') throw failed(kind);
    let commitsLeft = kind === undefined ? Infinity : this.#kills++ % 3;
    let table = '';
    let chains = new Map<string, Chain>();
    for (const [index, line] of script.split('\n').entries()) {
      if (line === '' || line.startsWith('#')) continue;
      if (line.startsWith('*')) {
        table = line.slice(1);
        chains = copyOf(this.#tables.get(table) ?? builtIn());
      } else if (line === 'COMMIT') {
        if (commitsLeft-- === 0) throw failed('killed');
        this.#commit(table, chains);
      } else if (this.refuses !== undefined && line.includes(this.refuses)) throw failed('refused-line', index + 1);
      else this.#line(chains, line, index + 1);
    }
    if (kind !== undefined) throw failed(kind);
    this.scripts.push(script);
  }

  #commit(table: string, chains: Map<string, Chain>): void {
    const before = rulesOf(this.chains(table));
    const after = rulesOf(chains);
    this.#tables.set(table, chains);
    this.onCommit({
      gone: [...before].filter((rule) => !after.has(rule)),
      come: [...after].filter((rule) => !before.has(rule)),
    });
  }

  /** What somebody else does: one line of iptables' own language, with the table. */
  tamper(table: string, line: string): void {
    const chains = this.#tables.get(table) ?? builtIn();
    this.#tables.set(table, chains);
    this.#line(chains, line, 0);
  }

  /** Names of chains, and their rules. */
  chains(table: string): ReadonlyMap<string, { readonly rules: readonly string[] }> {
    return this.#tables.get(table) ?? new Map<string, Chain>();
  }

  #line(chains: Map<string, Chain>, line: string, number: number): void {
    if (line.startsWith(':')) {
      const [name = '', policy = '-'] = line.slice(1).split(' ');
      chains.set(name, { policy, rules: [] });
      return;
    }
    const [verb = '', name = '', ...rest] = line.split(' ');
    const chain = chains.get(name);
    if (chain === undefined) throw failed('conflict', number);
    const rule = (words: readonly string[]) => `-A ${name} ${words.join(' ')}`;
    if (verb === '-A') chain.rules.push(rule(rest));
    else if (verb === '-F') chain.rules.length = 0;
    else if (verb === '-I') {
      const at = /^\d+$/.test(rest[0] ?? '') ? Number(rest.shift()) : 1;
      chain.rules.splice(at - 1, 0, rule(rest));
    } else if (verb === '-D') {
      const found = /^\d+$/.test(rest[0] ?? '') ? Number(rest[0]) - 1 : chain.rules.indexOf(rule(rest));
      if (found < 0 || found >= chain.rules.length) throw failed('conflict', number);
      chain.rules.splice(found, 1);
    } else if (verb === '-X') {
      const isUsed = [...chains.values()].some(({ rules }) => rules.some((one) => one.split(' ').includes(name)));
      if (isUsed) throw failed('busy', number);
      chains.delete(name);
    } else throw failed('internal', number);
  }
}

function rulesOf(chains: ReadonlyMap<string, { readonly rules: readonly string[] }>): ReadonlySet<string> {
  return new Set([...chains.values()].flatMap(({ rules }) => rules));
}

function builtIn(): Map<string, Chain> {
  const names = ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'];
  return new Map(names.map((name) => [name, { policy: 'ACCEPT', rules: [] }]));
}

function copyOf(chains: ReadonlyMap<string, Chain>): Map<string, Chain> {
  return new Map([...chains].map(([name, { policy, rules }]) => [name, { policy, rules: [...rules] }]));
}

function failed(kind: LoadFailure['kind'], line?: number): LoadError {
  const message = `fake kernel: ${kind}${line === undefined ? '' : ` at line ${line}`}`;
  return new LoadError({ kind, message, stderr: message, ...(line === undefined ? {} : { line }) });
}
