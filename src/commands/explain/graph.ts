import { treeOf } from '../../ruleset/walk-tree.ts';
import type { TreeNode } from '../../ruleset/walk-tree.ts';
import type { Way } from '../../ruleset/walk-outcome.ts';
import { addressAndPort } from '../../source/address.ts';
import type { Answer } from './answer.ts';
import { whyOf } from './data.ts';
import { probabilityText } from './text.ts';

interface GraphNode {
  readonly id: string;
  readonly label: string;
  readonly isEnd: boolean;
}

interface GraphEdge {
  readonly from: string;
  readonly to: string;
  /** The probability, where chance decides. */
  readonly label: string;
}

interface Graph {
  readonly nodes: readonly GraphNode[];
  readonly edges: readonly GraphEdge[];
}

/** The paths as a Mermaid flow chart. */
export function mermaidText(answers: readonly Answer[]): string {
  const { nodes, edges } = graphOf(answers);
  const quoted = (text: string): string => `"${text.replaceAll('"', '#quot;')}"`;
  return [
    'flowchart TD',
    ...nodes.map(({ id, label, isEnd }) => `  ${id}${isEnd ? `([${quoted(label)}])` : `[${quoted(label)}]`}`),
    ...edges.map(({ from, to, label }) => `  ${from} -->${label === '' ? '' : `|${quoted(label)}|`} ${to}`),
    '',
  ].join('\n');
}

/** The paths as input for Graphviz. */
export function dotText(answers: readonly Answer[]): string {
  const { nodes, edges } = graphOf(answers);
  const quoted = (text: string): string => `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
  return [
    'digraph explain {',
    '  node [shape=box, fontname="sans-serif"];',
    ...nodes.map(({ id, label, isEnd }) => `  ${id} [label=${quoted(label)}${isEnd ? ', shape=ellipse' : ''}];`),
    ...edges.map(({ from, to, label }) => `  ${from} -> ${to}${label === '' ? '' : ` [label=${quoted(label)}]`};`),
    '}',
    '',
  ].join('\n');
}

function graphOf(answers: readonly Answer[]): Graph {
  const nodes: GraphNode[] = [];
  const edges: GraphEdge[] = [];
  const ends = new Map<string, string>();
  const add = (label: string, isEnd: boolean): string => {
    const id = `n${nodes.length}`;
    nodes.push({ id, label, isEnd });
    return id;
  };
  const endOf = (way: Way): string => {
    const label = way.verdict === 'endpoint' ? addressAndPort(way.address, way.port) : way.verdict;
    const id = ends.get(label) ?? add(label, true);
    ends.set(label, id);
    return id;
  };
  const connect = (from: string, next: readonly TreeNode[]): void => {
    for (const node of next) {
      const { chain, hook, share } = node.step;
      const id = add(`${hook}, ${chain.table.name} ${chain.name}: ${whyOf(node.step)}`, false);
      edges.push({ from, to: id, label: next.length > 1 ? probabilityText(share) : '' });
      connect(id, node.next);
      if (node.way !== undefined) edges.push({ from: id, to: endOf(node.way), label: '' });
    }
  };
  for (const { client, destination, outcome } of answers) {
    const to = addressAndPort(destination.address.text, destination.port);
    const start = add(`${client.kind} ${client.address.text} to ${to}/${destination.protocol}`, true);
    connect(start, treeOf(outcome.ways));
    for (const way of outcome.ways) if (way.trail === undefined) edges.push({ from: start, to: endOf(way), label: '' });
  }
  return { nodes, edges };
}
