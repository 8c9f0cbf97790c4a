import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { Given } from './own-rules.ts';

/** A Service `default/web`: 10.96.0.10:80 and node port 30100, TCP, to port 8080 of its endpoints. */
export interface WebService {
  /** IPv4 addresses of pods of the lab. */
  readonly endpoints: readonly string[];
  /** Seconds for which a client stays with its endpoint; absent: no affinity. */
  readonly affinitySeconds?: number;
}

/** Hands the Service's state and an ordinary configuration to `use`, as files. */
export async function withWebService<T>(service: WebService, use: (given: Given) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), 'pw-web-'));
  const given = { statePath: join(directory, 'state.yaml'), configPath: join(directory, 'config.yaml') };
  try {
    const documents = [node, serviceObject(service), slice(service)].map((document) => JSON.stringify(document));
    await writeFile(given.statePath, documents.join('\n---\n'));
    await writeFile(given.configPath, JSON.stringify(configuration));
    return await use(given);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

const configuration = {
  apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
  kind: 'KubeProxyConfiguration',
  hostnameOverride: 'node-1',
  clusterCIDR: '10.244.0.0/16',
};

const node = {
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name: 'node-1' },
  spec: { podCIDRs: ['10.244.1.0/24'] },
  status: { addresses: [{ type: 'InternalIP', address: '172.18.0.11' }] },
};

function serviceObject({ affinitySeconds }: WebService): object {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'web', namespace: 'default' },
    spec: {
      type: 'NodePort',
      clusterIP: '10.96.0.10',
      clusterIPs: ['10.96.0.10'],
      ipFamilies: ['IPv4'],
      ipFamilyPolicy: 'SingleStack',
      internalTrafficPolicy: 'Cluster',
      externalTrafficPolicy: 'Cluster',
      ...(affinitySeconds === undefined
        ? { sessionAffinity: 'None' }
        : { sessionAffinity: 'ClientIP', sessionAffinityConfig: { clientIP: { timeoutSeconds: affinitySeconds } } }),
      ports: [{ name: 'http', port: 80, protocol: 'TCP', targetPort: 8080, nodePort: 30100 }],
    },
  };
}

function slice({ endpoints }: WebService): object {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: 'web-1', namespace: 'default', labels: { 'kubernetes.io/service-name': 'web' } },
    addressType: 'IPv4',
    ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
    endpoints: endpoints.map((address) => ({
      addresses: [address],
      conditions: { ready: true, serving: true, terminating: false },
      nodeName: address.startsWith('10.244.1.') ? 'node-1' : 'node-2',
    })),
  };
}
