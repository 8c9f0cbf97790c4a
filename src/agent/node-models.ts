import type { Config } from '../config/config.ts';
import { hostAddresses, modelOptions } from '../config/node.ts';
import { buildModel } from '../model/build.ts';
import type { ProxyModel } from '../model/model.ts';
import type { ModelOptions } from '../model/options.ts';
import type { ClusterState, IPFamily, Node } from '../source/objects.ts';
import { nodeWait } from './node-wait.ts';

/** What is known of the host besides its Node. */
export interface HostState {
  /** Canonical addresses of its interfaces. */
  readonly interfaces: readonly string[];
  readonly tracksLiberally: boolean;
}

/**
 * The models of this node, of both families, with what host and Node say at the time. What the model remembers is
 * kept for as long as nothing that counts has changed. A Node that loses what the configuration needs of it, as one
 * that registers anew, counts as it last was: node ports would else answer on all addresses, or pods not be known.
 */
export class NodeModels {
  readonly #config: Config;
  readonly #nodeName: string;
  readonly #onLoss: (reason: string) => void;
  readonly #options = new Map<IPFamily, { readonly text: string; readonly options: ModelOptions }>();
  #host: HostState = { interfaces: [], tracksLiberally: false };
  #seenNode: Node | undefined;
  /** The one that counts. */
  #node: Node | undefined;
  #isCurrent = new Set<IPFamily>();

  /** `onLoss` hears, once, what a Node lost. */
  constructor(config: Config, nodeName: string, onLoss: (reason: string) => void) {
    this.#config = config;
    this.#nodeName = nodeName;
    this.#onLoss = onLoss;
  }

  /** Addresses that count as this host's. */
  get hostAddresses(): readonly string[] {
    const node = this.#node;
    return hostAddresses(this.#config, {
      ...(node === undefined ? {} : { node }),
      interfaces: () => this.#host.interfaces,
      target: 'kernel',
    });
  }

  setHost(host: HostState): void {
    this.#host = host;
    this.#isCurrent.clear();
  }

  model(state: ClusterState, family: IPFamily): ProxyModel {
    this.#look(state.node);
    return buildModel(state, this.#optionsOf(family));
  }

  #look(node: Node | undefined): void {
    if (node === this.#seenNode) return;
    const before = this.#needOf(this.#seenNode);
    const need = this.#needOf(node);
    this.#seenNode = node;
    if (need !== undefined && this.#needOf(this.#node) === undefined) {
      if (before === undefined) this.#onLoss(need);
      return;
    }
    this.#node = node;
    this.#isCurrent.clear();
  }

  #needOf(node: Node | undefined): string | undefined {
    return nodeWait(this.#config, this.#nodeName, node)?.reason;
  }

  #optionsOf(family: IPFamily): ModelOptions {
    const known = this.#options.get(family);
    if (known !== undefined && this.#isCurrent.has(family)) return known.options;
    this.#isCurrent.add(family);
    const host = {
      nodeName: this.#node?.metadata.name ?? this.#nodeName,
      ...(this.#node === undefined ? {} : { node: this.#node }),
      addresses: this.hostAddresses,
      tracksLiberally: this.#host.tracksLiberally,
    };
    const options = modelOptions(this.#config, host, family);
    const text = JSON.stringify(options);
    if (known?.text === text) return known.options;
    this.#options.set(family, { text, options });
    return options;
  }
}
