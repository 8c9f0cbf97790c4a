import type { Config } from '../config/config.ts';
import { hostAddresses, localDetector, modelOptions, nodePortCidrs } from '../config/node.ts';
import { buildModel } from '../model/build.ts';
import type { ProxyModel } from '../model/model.ts';
import type { ModelOptions } from '../model/options.ts';
import { parseCidr } from '../source/address.ts';
import type { ClusterState, IPFamily, Node } from '../source/objects.ts';

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
  readonly #onLoss: (lost: readonly string[]) => void;
  readonly #options = new Map<IPFamily, { readonly text: string; readonly options: ModelOptions }>();
  #host: HostState = { interfaces: [], tracksLiberally: false };
  #seenNode: Node | undefined;
  /** The one that counts. */
  #node: Node | undefined;
  #lost = '';
  #isCurrent = new Set<IPFamily>();

  /** `onLoss` hears, once, what a Node lost, in words. */
  constructor(config: Config, nodeName: string, onLoss: (lost: readonly string[]) => void) {
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
    this.#seenNode = node;
    const kept = this.#basis(node);
    const lost = this.#basis(this.#node).filter((item) => !kept.includes(item));
    if (lost.length === 0) {
      this.#node = node;
      this.#isCurrent.clear();
    } else if (lost.join() !== this.#lost) this.#onLoss(lost);
    this.#lost = lost.join();
  }

  /** What a Node has of that which, by the configuration, its rules go by. */
  #basis(node: Node | undefined): readonly string[] {
    const config = this.#config;
    const isPrimary = config.nodePortAddresses[0] === 'primary';
    const cidrs = isPrimary ? nodePortCidrs(config, node) : [];
    return (['IPv4', 'IPv6'] as const).flatMap((family) => [
      ...(cidrs.some((cidr) => parseCidr(cidr)?.family === family) ? [`an address of ${family}`] : []),
      ...(config.detectLocal.mode === 'NodeCIDR' && localDetector(config, node, family) !== undefined
        ? [`a pod CIDR of ${family}`]
        : []),
    ]);
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
