/** A question that people come with, answered in a screen. Pages in docs/ say more. */
export interface Topic {
  readonly name: string;
  readonly summary: string;
  readonly text: string;
}

/** All topics, in the order in which help lists them. */
export const topics: readonly Topic[] = [
  {
    name: 'port-conflict',
    summary: '"provided port is already allocated"',
    text: `Two Services ask for one node port, and the first one has it.

  portwright ports -f manifests/

lists every node port and names both Services of a conflict. Leave nodePort out to be given a free one, or take one
that ports --suggest 3 proposes. A process of the host that listens on the port is shown there too: packets to it
will go to the Service instead.
More: docs/port-conflict.md`,
  },
  {
    name: 'not-accessible',
    summary: 'a node port does not answer',
    text: `Ask where the packet goes:

  portwright explain -f manifests/ --to node:30080 --from CLIENT-IP

"reject" means that no endpoint is ready: the endpoints that were left out are listed with the reason.
"drop" means a Local policy without an endpoint on this node, or a client outside the source ranges.
"host" means that the address or port is no node port here: see portwright ports.
An endpoint is named but nothing answers: look at the node itself with portwright doctor.
More: docs/not-accessible.md`,
  },
  {
    name: 'not-balanced',
    summary: 'traffic does not spread over the endpoints',
    text: `Each new connection chooses an endpoint at random; a connection once made stays where it is.

  portwright explain -f manifests/ --to SERVICE:PORT

shows the probability of each endpoint, and which are left out and why. Uneven traffic with even probabilities comes
from connections that are kept open (HTTP keep-alive, gRPC), from session affinity, from a Local policy with
unequal numbers of pods on the nodes, or from zone hints.
More: docs/not-balanced.md`,
  },
];
