import type { IPFamily } from '../source/objects.ts';
import type { LocalDetector } from './model.ts';

/** What configuration and host decide for one IP family; everything else the model takes from the cluster state. */
export interface ModelOptions {
  readonly family: IPFamily;
  /** As EndpointSlices spell it in `nodeName`. */
  readonly nodeName: string;
  /** This node's address of the family, when it has one. */
  readonly nodeIP?: string;
  /** Canonical addresses of the host's interfaces, both families. */
  readonly hostAddresses: readonly string[];
  /** 0 to 31. */
  readonly masqueradeBit: number;
  readonly masqueradeAll: boolean;
  readonly localDetector?: LocalDetector;
  readonly nodePortAddresses: 'all' | readonly string[];
  /** Node ports answer on 127.0.0.0/8 too; never for IPv6, nor in nftables mode. */
  readonly localhostNodePorts: boolean;
  readonly dropInvalid: boolean;
  /** The feature gate AllowServiceExternalIPs. */
  readonly allowExternalIPs: boolean;
}
