import { load } from 'js-yaml';
import type { EventType, Schema, State } from 'js-yaml';

/** Keys and indexes that lead to a field. */
export type FieldPath = readonly (string | number)[];

/** Both from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/**
 * Tells where the fields of a document stand: the place of the key, of a list entry that of its content. Of a field
 * that is not there, the place of the nearest thing around it. The text must have been parsed without an error; it
 * is parsed again, once, when the first field is asked for.
 */
export function positionsIn(text: string, schema: Schema): (path: FieldPath) => Position {
  let tree: TreeNode | undefined;
  let lineStarts: readonly number[] | undefined;
  return (path) => {
    tree ??= treeOf(text, schema);
    lineStarts ??= startsOfLines(text);
    const offset = skipBlanks(text, offsetOf(tree, path));
    const line = countUpTo(lineStarts, offset);
    return { line, column: offset - (lineStarts[line - 1] ?? 0) + 1 };
  };
}

interface TreeNode {
  /** Where the parser began to look for it: before blanks, comments and line ends. */
  readonly offset: number;
  readonly children: TreeNode[];
  isKey: boolean;
  result: unknown;
}

/** js-yaml keeps no positions, but tells when it opens and closes a node: keys and values alike. */
function treeOf(text: string, schema: Schema): TreeNode {
  const root: TreeNode = { offset: 0, children: [], isKey: false, result: undefined };
  const open = [root];
  load(text, {
    schema,
    listener(event: EventType, state: State) {
      if (event === 'open') {
        const node = { offset: state.position, children: [], isKey: false, result: undefined };
        open.at(-1)?.children.push(node);
        open.push(node);
        return;
      }
      const node = open.pop();
      if (node === undefined) return;
      node.result = state.result;
      node.isKey = /^[ \t]*:/.test(text.slice(state.position, state.position + 40));
    },
  });
  return root.children[0] ?? root;
}

function offsetOf(tree: TreeNode, path: FieldPath): number {
  let node = tree;
  for (const step of path) {
    const next = childOf(content(node), step);
    if (next === undefined) return node.offset;
    if (next.value === undefined) return next.offset;
    node = { ...next.value, offset: next.offset };
  }
  return node.offset;
}

/** A node that might have been the key of a mapping, but was not, was first read as a child of itself. */
function content(node: TreeNode): TreeNode {
  const [only] = node.children;
  const isItself = node.children.length === 1 && only?.isKey === false && only.result === node.result;
  return isItself ? content(only) : node;
}

function childOf(node: TreeNode, step: string | number): { offset: number; value?: TreeNode } | undefined {
  if (typeof step === 'number') {
    const child = node.children[step];
    return child && { offset: child.offset, value: child };
  }
  const index = node.children.findIndex((child) => child.isKey && String(child.result) === step);
  const key = node.children[index];
  if (key === undefined) return undefined;
  const value = node.children[index + 1];
  return value === undefined || value.isKey ? { offset: key.offset } : { offset: key.offset, value };
}

function skipBlanks(text: string, offset: number): number {
  const blanks = /^(?:[\s,]|- |#[^\n]*\n)*/.exec(text.slice(offset, offset + 4000))?.[0] ?? '';
  return offset + blanks.length;
}

function startsOfLines(text: string): readonly number[] {
  const starts = [0];
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  return starts;
}

/** How many of the sorted numbers are not greater than the limit. */
function countUpTo(sorted: readonly number[], limit: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] ?? 0) <= limit) low = middle + 1;
    else high = middle;
  }
  return low;
}
