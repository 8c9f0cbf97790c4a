import type { ProxyModel, ServicePort } from '../src/model/model.ts';
import { servicePortChains } from '../src/nftables/names.ts';

/**
 * Rules for the cluster IPs of a model in the shape that kube-proxy 1.36 gives them: for each service port a chain
 * with an anonymous map. Only for comparison; base chains and the other maps cost the same in both shapes.
 */
export function kubeProxyTable({ servicePorts }: ProxyModel): { readonly text: string; readonly oneChange: string } {
  const lines = servicePorts.map((port) => ({ port, chain: servicePortChains(port).cluster }));
  const sample = lines[Math.floor(lines.length / 2)];
  const key = ({ clusterIP, protocol, port }: ServicePort) => `${clusterIP} . ${protocol.toLowerCase()} . ${port}`;
  const hairpins = servicePorts.flatMap((port) =>
    port.clusterEndpoints
      .filter(({ isLocal }) => isLocal)
      .map(({ address, port: target }) => `${address} . ${address} . tcp . ${target}`),
  );
  return {
    text: [
      'table ip kube-proxy {',
      `set cluster-ips { type ipv4_addr; elements = { ${servicePorts.map(({ clusterIP }) => clusterIP).join(', ')} }; }`,
      `set hairpin-connections { type ipv4_addr . ipv4_addr . inet_proto . inet_service; elements = { ${hairpins.join(', ')} }; }`,
      `map service-ips { type ipv4_addr . inet_proto . inet_service : verdict; elements = { ${lines
        .map(({ port, chain }) => `${key(port)} : goto ${chain}`)
        .join(', ')} }; }`,
      ...lines.map(({ port, chain }) => `chain ${chain} {\n${choice(port)}\n}`),
      '}',
      '',
    ].join('\n'),
    oneChange:
      sample === undefined
        ? ''
        : `flush chain ip kube-proxy ${sample.chain}\nadd rule ip kube-proxy ${sample.chain} ${choice(sample.port)}\n`,
  };
}

function choice({ clusterEndpoints, protocol }: ServicePort): string {
  const map = clusterEndpoints.map(({ address, port }, slot) => `${slot} : ${address} . ${port}`).join(', ');
  return `meta l4proto ${protocol.toLowerCase()} dnat ip addr . port to numgen random mod ${clusterEndpoints.length} map { ${map} }`;
}
