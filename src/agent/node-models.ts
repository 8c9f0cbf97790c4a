import type { Config } from '../config/config.ts';
import { hostAddresses, modelOptions } from '../config/node.ts';
import { buildModel } from '../model/build.ts';
import type { ProxyModel } from '../model/model.ts';
import type { ModelOptions } from '../model/options.ts';
import type { ClusterState, IPFamily, Node } from '../source/objects.ts';

/** What is known of the host besides its Node. */
export interface HostState {
  /** Canonical addresses of its interfaces. */
  readonly interfaces: readonly string[];
  readonly tracksLiberally: boolean;
}

/**
 * The models of this node, of both families, with what host and Node say at the time. What the model remembers is
 * kept for as long as nothing that counts has changed.
 */
export class NodeModels {
  readonly #config: Config;
  readonly #nodeName: string;
  readonly #options = new Map<IPFamily, { readonly text: string; readonly options: ModelOptions }>();
  #host: HostState = { interfaces: [], tracksLiberally: false };
  #node: Node | undefined;
  #isCurrent = new Set<IPFamily>();

  constructor(config: Config, nodeName: string) {
    this.#config = config;
    this.#nodeName = nodeName;
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
    if (state.node !== this.#node) {
      this.#node = state.node;
      this.#isCurrent.clear();
    }
    return buildModel(state, this.#optionsOf(family));
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
