import type { Warning } from '../../model/model.ts';
import type { ClusterState, Node } from '../../source/objects.ts';
import type { Problem } from '../../source/problem.ts';

/** A state as it was found, before this node looks at it. */
export interface FoundState {
  readonly state: ClusterState;
  /** The Nodes among the manifests. */
  readonly nodes: readonly Node[];
  readonly problems: readonly Problem[];
  readonly warnings: readonly Warning[];
}
