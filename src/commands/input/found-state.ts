import type { ClusterState, Node } from '../../source/objects.ts';
import type { Problem } from '../../source/problem.ts';
import type { Warning } from '../../source/warning.ts';

/** A state as it was found, before this node looks at it. */
export interface FoundState {
  readonly state: ClusterState;
  /** The Nodes among the manifests. */
  readonly nodes: readonly Node[];
  readonly problems: readonly Problem[];
  readonly warnings: readonly Warning[];
}
