import { rightsAdvice, rightsMissing } from './rights.ts';

/** What a failed load asks of us. */
export type LoadFailureKind =
  /** Somebody else holds a lock: the same script again, soon. */
  | 'lock-held'
  /** The host lacks something (a tool, a right, memory): no rule is at fault. */
  | 'environment'
  /** The named line is refused, whatever the kernel holds. */
  | 'refused-line'
  /** The kernel refused the table without naming a line: read again, then bisect. */
  | 'refused-commit'
  /** The live rules are not those the script was planned against: read again, plan again. */
  | 'conflict'
  /** Something is still in use and cannot be deleted yet: later. */
  | 'busy'
  /** The script ends too early. */
  | 'truncated'
  /** The transaction is too large for the socket: in smaller pieces. */
  | 'too-long'
  /** The kernel or the tool lacks a match, target or expression. */
  | 'unsupported-feature'
  /** A signal or our deadline ended the tool: the same script again. */
  | 'killed'
  /** A script of ours that no host accepts. */
  | 'internal';

/** One known outcome of a load; all that is given must fit. */
export interface Sign {
  readonly kind: LoadFailureKind;
  readonly tool?: RegExp;
  readonly exitCodes?: readonly number[];
  readonly stderr?: RegExp;
  /** The text of the failing line. */
  readonly line?: RegExp;
  /** Sentences without their final stop. */
  readonly means: string;
  readonly todo: string;
}

const iptables = /^ip6?tables/;
const nft = /^nft$/;

/** What tools, the loader of libraries (with numbers) and Node say where the host is short of something. */
export const shortage =
  /Cannot allocate memory|Out of memory|No buffer space available|Can't open |Could not open file|\bE(?:MFILE|NFILE|NOMEM|AGAIN)\b|\bError 2[34]\b/;

/**
 * Known outcomes; the first that fits counts, so the special ones stand before the general.
 * Texts of iptables 1.8.9 (legacy and nf_tables), nft 1.0.6, util-linux 2.38.
 */
export const signs: readonly Sign[] = [
  // The host, before any rule is looked at.
  {
    kind: 'lock-held',
    exitCodes: [75],
    means: 'Another Portwright on this node is applying rules',
    todo: 'If it lasts, see which process holds the lock',
  },
  {
    kind: 'lock-held',
    stderr: /holding the xtables lock|Can't lock .*Resource temporarily unavailable/,
    means: 'Another program is changing iptables rules',
    todo: 'If it lasts, see which process holds the lock',
  },
  {
    kind: 'environment',
    stderr: /can't open lock file|cannot open lock file/,
    means: 'The lock that keeps writers of rules apart cannot be opened',
    todo: "Mount the host's /run/xtables.lock writable, or choose the nf_tables variant, which needs no lock",
  },
  {
    kind: 'environment',
    stderr: rightsMissing,
    means: 'The rights to change rules are missing in this network namespace',
    todo: rightsAdvice,
  },
  {
    kind: 'environment',
    stderr: /(unable to initialize table|table name) '(nat|filter|mangle)'/,
    means: 'This kernel has no such table for this variant and family, or the rights to use it are missing',
    todo: 'Load the kernel module, choose the other variant, or run with CAP_NET_ADMIN and CAP_NET_RAW',
  },
  {
    kind: 'environment',
    stderr: /error while loading shared libraries|failed to execute|exec of .* failed|not installed|Exec format error/,
    means: 'The tool cannot be started',
    todo: 'Install it for this architecture, and look at the limit of open files',
  },
  {
    kind: 'environment',
    stderr: shortage,
    means: 'The host is short of memory or files',
    todo: 'Give it more; it is tried again',
  },
  { kind: 'environment', exitCodes: [126, 127], means: 'The tool cannot be started', todo: 'See its message' },
  {
    kind: 'too-long',
    stderr: /Message too long/,
    means: 'The transaction does not fit the socket buffer, which only CAP_NET_ADMIN of the host may enlarge',
    todo: 'It is sent in smaller pieces; better give the real CAP_NET_ADMIN',
  },

  // The script as a whole.
  {
    kind: 'truncated',
    tool: iptables,
    stderr: /COMMIT expected at line|Bad argument `COMMIT'/,
    means: 'The script ends before its table does',
    todo: 'This is a mistake of ours: report it',
  },
  {
    kind: 'internal',
    stderr: /28 chars max|must be under 29 chars|File name too long/,
    means: 'A chain name is longer than the kernel takes',
    todo: 'This is a mistake of ours: report it',
  },
  {
    kind: 'internal',
    stderr: /Too many links/,
    means: 'Chains would jump in a circle or too deep',
    todo: 'Look for foreign rules that jump into our chains; otherwise report it',
  },

  // What the kernel or the tool cannot do.
  {
    kind: 'unsupported-feature',
    tool: iptables,
    stderr: /Couldn't load match|missing kernel module|Extension .* not supported/,
    means: 'This kernel or iptables lacks a match that the rule needs',
    todo: 'Load or install it; until then only what needs it is missing',
  },
  {
    kind: 'conflict',
    tool: iptables,
    stderr: /Couldn't load target `KUBE-/,
    means: 'A chain that the script relies on is gone',
    todo: 'The live rules are read again and the change is planned anew',
  },
  {
    kind: 'unsupported-feature',
    tool: iptables,
    stderr: /Couldn't load target `(MASQUERADE|DNAT|REJECT|MARK|ACCEPT|DROP|RETURN)'/,
    means: 'This iptables lacks a target that the rule needs',
    todo: 'Install all of the iptables package',
  },
  {
    kind: 'unsupported-feature',
    tool: nft,
    stderr: /syntax error, unexpected \w+, expecting string|Operation not supported/,
    means: 'This nft or kernel does not know the statement, or an object exists with other properties',
    todo: 'See `portwright doctor` for the versions that are needed',
  },

  // The live rules are not what we thought.
  {
    kind: 'busy',
    stderr: /(CHAIN_DEL|CHAIN_USER_DEL|TABLE_DEL) failed|Device or resource busy|Directory not empty/,
    means: 'Something still refers to an object that was to be deleted',
    todo: 'A foreign rule may jump to it; once that is gone it can be deleted',
  },
  { kind: 'busy', tool: iptables, line: /^-X /, ...stillInUse() },
  {
    kind: 'conflict',
    tool: iptables,
    stderr:
      /does not exist|Couldn't load target|No chain\/target\/match by that name|does a matching rule exist|Index of insertion too big/,
    ...changedByOthers(),
  },
  { kind: 'conflict', tool: iptables, stderr: /line \d+ failed$/m, line: /^-[ADIFN] |^:/, ...changedByOthers() },
  {
    kind: 'conflict',
    stderr: /(RULE_DELETE|RULE_REPLACE|RULE_FLUSH|CHAIN_ADD|CHAIN_USER_ADD|CHAIN_USER_FLUSH) failed/,
    ...changedByOthers(),
  },
  {
    kind: 'conflict',
    tool: nft,
    stderr: /No such file or directory|File exists|Interrupted system call|Could not resolve|conflicting/,
    ...changedByOthers(),
  },

  // The rules are at fault.
  {
    kind: 'refused-commit',
    tool: iptables,
    line: /^COMMIT$/,
    means:
      'The kernel refused the table, and this variant does not say for which rule; another writer can cause it too',
    todo: 'The live rules are read again; if it comes back, the guilty Service is searched',
  },
  {
    kind: 'refused-line',
    stderr: /Error occurred at line|RULE_(APPEND|INSERT) failed|line \d+ failed|: Error: /,
    means: 'This rule is not accepted on this host',
    todo: 'The Service it belongs to is left out until it changes',
  },
  {
    kind: 'environment',
    stderr: /Resource temporarily unavailable/,
    means: 'The kernel is too busy',
    todo: 'It is tried again',
  },
];

function stillInUse(): Pick<Sign, 'means' | 'todo'> {
  return {
    means: 'Something still refers to a chain that was to be deleted, or it is gone already',
    todo: 'It is looked at again later',
  };
}

function changedByOthers(): Pick<Sign, 'means' | 'todo'> {
  return {
    means: 'The live rules are not those that the change was planned for; somebody changed them in between',
    todo: 'They are read again and the change is planned anew',
  };
}
