import { addressAndPort } from '../../source/address.ts';
import type { Outcome } from '../../ruleset/walk-outcome.ts';
import type { TrailStep } from '../../ruleset/walk-program.ts';
import { treeOf } from '../../ruleset/walk-tree.ts';
import type { TreeNode } from '../../ruleset/walk-tree.ts';
import { ruleOf, whyOf } from './data.ts';

/** One line of a packet's path as people read it. */
export type PathLine =
  /** A hook that the packet comes to. */
  | { readonly kind: 'hook'; readonly hook: string }
  /** What follows is for the branches of a fork that end at these endpoints. */
  | { readonly kind: 'afterwards'; readonly ends: readonly string[] }
  | PathStep;

/** A rule that took notice of the packet. */
export interface PathStep {
  readonly kind: 'step';
  /** How many jumps deep. */
  readonly depth: number;
  /** The probability of getting here, where chance decides between lines of this depth. */
  readonly chance?: number;
  /** Table and chain. */
  readonly place: string;
  /** What the rule does, in words. */
  readonly meaning: string;
  /** The rule without its chain and comment. */
  readonly rule: string;
  /** It led into a chain that had nothing for the packet. */
  readonly isIdle: boolean;
}

/** What a packet goes through, in order; empty when no rule takes notice of it. */
export function pathOf(outcome: Outcome): readonly PathLine[] {
  return linesOf(treeOf(outcome.ways), '');
}

/** The lines that tell what becomes of the packet: without idle rules, and hooks where nothing else happens. */
export function busyLines(lines: readonly PathLine[]): readonly PathLine[] {
  const busy = lines.filter((line) => line.kind !== 'step' || !line.isIdle);
  return busy.filter((line, index) => line.kind !== 'hook' || busy[index + 1]?.kind === 'step');
}

/** One line a step. What branches of a fork go through afterwards is told once, where it is the same. */
function linesOf(nodes: readonly TreeNode[], hook: string): PathLine[] {
  const isFork = nodes.length > 1;
  const lines: PathLine[] = [];
  const later = new Map<string, { readonly lines: readonly PathLine[]; readonly ends: string[] }>();
  for (const node of nodes) {
    const { step } = node;
    const own: PathLine[] = step.hook === hook ? [] : [{ kind: 'hook', hook: step.hook }];
    const all = [...own, stepLine(node, isFork), ...linesOf(node.next, step.hook)];
    const next = all.findIndex((line, index) => index > own.length && (line.kind !== 'step' || line.depth === 0));
    lines.push(...all.slice(0, next < 0 ? undefined : next));
    if (next < 0) continue;
    const rest = all.slice(next);
    const key = JSON.stringify(rest);
    const same = later.get(key) ?? { lines: rest, ends: [] };
    later.set(key, same);
    same.ends.push(...endsOf(node));
  }
  for (const { lines: rest, ends } of later.values()) {
    if (later.size > 1) lines.push({ kind: 'afterwards', ends });
    lines.push(...rest);
  }
  return lines;
}

function endsOf({ way, next }: TreeNode): string[] {
  return [...(way === undefined ? [] : [addressAndPort(way.address, way.port)]), ...next.flatMap(endsOf)];
}

function stepLine({ step, next }: TreeNode, isFork: boolean): PathStep {
  const why = whyOf(step);
  const cameBack = isIdle(step, next);
  const idle = cameBack ? (why.endsWith('?') ? ' no' : ': nothing') : '';
  return {
    kind: 'step',
    depth: step.depth,
    ...(isFork ? { chance: step.share } : {}),
    place: `${step.chain.table.name} ${step.chain.name}`,
    meaning: `${why}${idle}`,
    rule: ruleOf(step)
      .replace(/^-A \S+ ?/, '')
      .replace(/-m comment --comment (?:"(?:[^"\\]|\\.)*"|\S+) ?/g, '')
      .replace(/ ?comment "(?:[^"\\]|\\.)*"$/, ''),
    isIdle: cameBack,
  };
}

/** It went into another chain and came back as it was. */
function isIdle({ branch, depth }: TrailStep, next: readonly TreeNode[]): boolean {
  return 'chain' in branch.then && next.every((node) => node.step.depth <= depth);
}
