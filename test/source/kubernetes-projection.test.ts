import { expect } from 'chai';
import {
  changeTriggerTime,
  projectNode,
  projectService,
  projectServiceCIDR,
  projectSlice,
} from '../../src/source/kubernetes/projection.ts';

describe('projection of raw objects', () => {
  const noise = { managedFields: [{ manager: 'x' }], generation: 3, resourceVersion: '9', annotations: { a: 'b' } };

  it('keeps of a Service what a proxy uses', () => {
    const spec = {
      type: 'LoadBalancer',
      clusterIP: '10.96.0.1',
      clusterIPs: ['10.96.0.1', 'fd00::1'],
      ipFamilies: ['IPv4', 'IPv6'],
      ports: [{ name: 'http', protocol: 'TCP', port: 80, targetPort: 'web', nodePort: 30080 }],
      externalIPs: ['198.51.100.1'],
      sessionAffinity: 'ClientIP',
      sessionAffinityConfig: { clientIP: { timeoutSeconds: 60 } },
      loadBalancerSourceRanges: ['10.0.0.0/8'],
      externalTrafficPolicy: 'Local',
      internalTrafficPolicy: 'Cluster',
      healthCheckNodePort: 32000,
    };
    const metadata = { name: 'web', namespace: 'shop', uid: 'u', creationTimestamp: '2026-01-01T00:00:00Z' };
    const status = { loadBalancer: { ingress: [{ ip: '203.0.113.1', ipMode: 'VIP' }, { hostname: 'x.example' }] } };
    const raw = {
      kind: 'Service',
      metadata: { ...noise, ...metadata, labels: { app: 'x' } },
      spec: { ...spec, selector: { app: 'x' }, ipFamilyPolicy: 'PreferDualStack' },
      status: { ...status, conditions: [{ type: 'x' }] },
    };
    expect(projectService(raw)).to.deep.equal({ metadata, spec, status });
  });

  it('keeps of an EndpointSlice what a proxy uses', () => {
    const endpoint = {
      addresses: ['10.0.0.1'],
      conditions: { ready: true, serving: true, terminating: false },
      nodeName: 'n',
      zone: 'z',
      hints: { forZones: [{ name: 'z' }], forNodes: [{ name: 'n' }] },
      targetRef: { kind: 'Pod', namespace: 'shop', name: 'web-1' },
    };
    const labels = { 'kubernetes.io/service-name': 'web' };
    const ports = [{ name: '', protocol: 'UDP', port: 53 }];
    const raw = {
      metadata: { ...noise, name: 'web-1', namespace: 'shop', labels: { ...labels, app: 'x' } },
      addressType: 'IPv4',
      endpoints: [{ ...endpoint, hostname: 'h', targetRef: { ...endpoint.targetRef, uid: 'u' } }],
      ports: [{ ...ports[0], appProtocol: 'dns' }],
    };
    expect(projectSlice(raw)).to.deep.equal({
      metadata: { name: 'web-1', namespace: 'shop', labels },
      addressType: 'IPv4',
      endpoints: [endpoint],
      ports,
    });
  });

  it('keeps of a Node its zone, addresses, ranges and taints', () => {
    const raw = {
      metadata: {
        ...noise,
        name: 'n',
        labels: { 'topology.kubernetes.io/zone': '', other: 'x' },
        deletionTimestamp: 't',
      },
      spec: {
        podCIDR: '10.0.0.0/24',
        podCIDRs: ['10.0.0.0/24'],
        taints: [{ key: 'k', effect: 'NoExecute', value: 'v' }],
      },
      status: { addresses: [{ type: 'InternalIP', address: '192.0.2.1' }], images: [] },
    };
    expect(projectNode(raw)).to.deep.equal({
      metadata: { name: 'n', labels: { 'topology.kubernetes.io/zone': '' }, deletionTimestamp: 't' },
      spec: { podCIDR: '10.0.0.0/24', podCIDRs: ['10.0.0.0/24'], taints: [{ key: 'k', effect: 'NoExecute' }] },
      status: { addresses: [{ type: 'InternalIP', address: '192.0.2.1' }] },
    });
  });

  it('keeps of a ServiceCIDR its ranges', () => {
    const raw = { metadata: { ...noise, name: 'c' }, spec: { cidrs: ['10.96.0.0/12'] }, status: {} };
    expect(projectServiceCIDR(raw)).to.deep.equal({ metadata: { name: 'c' }, spec: { cidrs: ['10.96.0.0/12'] } });
  });

  it('keeps the null and false of endpoints apart from absent only where it matters', () => {
    const raw = {
      metadata: { name: 's' },
      endpoints: [{ addresses: null, conditions: { ready: false, serving: null }, nodeName: null }],
      ports: null,
    };
    expect(projectSlice(raw)).to.deep.equal({
      metadata: { name: 's' },
      addressType: '',
      endpoints: [{ addresses: [], conditions: { ready: false } }],
      ports: [],
    });
  });

  const broken: readonly unknown[] = [
    undefined,
    null,
    7,
    'x',
    [],
    {},
    { metadata: null },
    { metadata: { name: 7 } },
    { metadata: { name: '' } },
    { metadata: [] },
  ];
  for (const project of [projectService, projectSlice, projectNode, projectServiceCIDR]) {
    it(`${project.name} takes nothing for an object that is not one`, () => {
      for (const raw of broken) expect(project(raw)).to.equal(undefined);
    });

    it(`${project.name} takes fields of a wrong type for absent`, () => {
      for (const value of [7, 'x', true, null, [[[]]], { toString: 1 }, [7, 'x', null]]) {
        const metadata = { name: 'x', namespace: value, labels: value, uid: value };
        const raw = { metadata, spec: value, status: value, endpoints: value, ports: value, addressType: value };
        const spec = {
          ports: value,
          clusterIPs: value,
          podCIDRs: value,
          taints: value,
          cidrs: value,
          sessionAffinityConfig: value,
        };
        expect(project(raw)?.metadata.name).to.equal('x');
        expect(project({ ...raw, spec })?.metadata.name).to.equal('x');
      }
    });
  }

  it('finds the time at which the change of a slice began', () => {
    const annotations = { 'endpoints.kubernetes.io/last-change-trigger-time': '2026-01-01T00:00:00Z' };
    expect(changeTriggerTime({ metadata: { annotations } })).to.equal('2026-01-01T00:00:00Z');
    expect(changeTriggerTime({ metadata: {} })).to.equal(undefined);
  });
});
