import type { Command } from './command.ts';
import type { VerbName } from './verbs.ts';

/** What each verb does, loaded when it is asked for: a start costs no more than its own verb. */
export const commands: Readonly<Record<VerbName, () => Promise<Command>>> = {
  render: async () => (await import('./render.ts')).render,
  diff: async () => (await import('./diff/diff.ts')).diff,
  apply: async () => (await import('./apply.ts')).apply,
  run: async () => (await import('./run/run.ts')).run,
  cleanup: async () => (await import('./cleanup.ts')).cleanup,
  explain: async () => (await import('./explain/explain.ts')).explain,
  ports: async () => (await import('./ports/ports.ts')).ports,
  verify: async () => (await import('./verify/verify.ts')).verify,
  doctor: async () => (await import('./doctor/doctor.ts')).doctor,
  report: async () => (await import('./report/report.ts')).report,
  help: async () => (await import('./help.ts')).help,
  completion: async () => (await import('./completion.ts')).completion,
};
