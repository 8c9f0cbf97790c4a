import type { Way } from './walk-outcome.ts';
import type { TrailStep } from './walk-program.ts';

/** A step and what may follow it: more than one where chance decides. */
export interface TreeNode {
  readonly step: TrailStep;
  readonly next: readonly TreeNode[];
  /** The way that ends here. */
  readonly way?: Way;
}

/** Joins the ways of a packet where they begin alike. */
export function treeOf(ways: readonly Way[]): readonly TreeNode[] {
  const roots: Growing[] = [];
  const nodes = new Map<TrailStep, Growing>();
  for (const way of ways) {
    const steps = stepsTo(way.trail);
    let siblings = roots;
    for (const step of steps) {
      let node = nodes.get(step);
      if (node === undefined) {
        node = { step, next: [] };
        nodes.set(step, node);
        siblings.push(node);
      }
      if (step === way.trail) node.way = way;
      siblings = node.next;
    }
  }
  return roots;
}

interface Growing {
  readonly step: TrailStep;
  readonly next: Growing[];
  way?: Way;
}

/** The steps of a way from the first to this one. */
export function stepsTo(last: TrailStep | undefined): readonly TrailStep[] {
  const steps: TrailStep[] = [];
  for (let step = last; step !== undefined; step = step.before) steps.push(step);
  return steps.reverse();
}
