import { expect } from 'chai';
import { serviceStatuses } from '../../src/agent/service-status.ts';
import { WarningReports } from '../../src/agent/warning-reports.ts';
import { buildModel } from '../../src/model/build.ts';
import { serviceNameLabel } from '../../src/source/objects.ts';
import { endpoint, modelOptions, service, slice, state } from '../support/state.ts';

const desired = new Date(1_000);
const [applied, verified] = [new Date(2_000), new Date(3_000)];
const none = { warnings: new Map(), refusals: [], state: undefined };

describe('the status of Services', () => {
  it('is pending until rules were written, and ok from then on', () => {
    const times = [
      { namespace: 'default', name: 'new', desired },
      { namespace: 'default', name: 'web', desired, applied, verified },
    ];
    expect(serviceStatuses('IPv4', times, none)).to.deep.equal([
      { namespace: 'default', name: 'new', family: 'IPv4', desired, state: 'pending', warnings: [] },
      { namespace: 'default', name: 'web', family: 'IPv4', desired, applied, verified, state: 'ok', warnings: [] },
    ]);
  });

  it('is quarantined where the kernel refuses, without times that are of other rules, and says why', () => {
    const times = [{ namespace: 'default', name: 'web', desired, applied, verified }];
    const refusals = [{ service: { namespace: 'default', name: 'web' }, reason: 'line 3' }];
    const [status] = serviceStatuses('IPv6', times, { ...none, refusals });
    expect(status).not.to.have.any.keys('applied', 'verified');
    expect(status).to.deep.include({
      state: 'quarantined',
      warnings: [{ object: 'Service default/web', field: 'spec', reason: 'RulesRefused', message: 'line 3' }],
    });
  });

  it('has the warnings of the Service and of its slices', () => {
    const about = (object: string) => ({ object, field: 'f', reason: 'R', message: 'm' });
    const objects = ['Service default/web', 'EndpointSlice default/web-1', 'Service default/other'];
    const own = {
      metadata: { namespace: 'default', name: 'web-1', labels: { [serviceNameLabel]: 'web' } },
      addressType: 'IPv4',
    };
    const statuses = serviceStatuses('IPv4', [{ namespace: 'default', name: 'web', desired }], {
      refusals: [],
      warnings: new Map(objects.map((object) => [object, [about(object)]])),
      state: { services: [], slices: new Map([['default/web', [own]]]), serviceCIDRs: [] },
    });
    const web = statuses.find(({ name }) => name === 'web');
    expect(web?.warnings.map(({ object }) => object)).to.deep.equal(objects.slice(0, 2));
  });

  it('is told of a Service that is left out with all its ports, in its place', () => {
    const at = (clusterIP: string) => ({ clusterIP, clusterIPs: [clusterIP] });
    const cluster = state(
      [
        service({ ...at('10.1') }, { name: 'bad' }),
        service({ ...at('10.96.0.10') }, { name: 'first', creationTimestamp: '2026-01-01T00:00:00Z' }),
        service({ ...at('10.96.0.10') }, { name: 'second', creationTimestamp: '2026-01-02T00:00:00Z' }),
        service({ ...at('10.96.0.11'), externalIPs: ['junk'] }, { name: 'part' }),
      ],
      [slice([endpoint('10.1')], {}, 'part')],
    );
    const model = buildModel(cluster, modelOptions());
    const reports = new WarningReports();
    reports.update('IPv4', model.warnings);
    const times = model.servicePorts.map(({ namespace, name }) => ({ namespace, name, desired, applied: desired }));
    const found = serviceStatuses('IPv4', times, {
      warnings: reports.byObject('IPv4'),
      refusals: [],
      state: cluster,
    });
    expect(
      found.map(({ name, state: told, warnings }) => [name, told, warnings.map(({ reason }) => reason).join()]),
    ).to.deep.equal([
      ['bad', 'quarantined', 'InvalidAddress'],
      ['first', 'ok', ''],
      ['part', 'ok', 'InvalidAddress,InvalidAddress'],
      ['second', 'quarantined', 'AddressTaken'],
    ]);
    expect(found[0]).not.to.include.any.keys('desired', 'applied', 'verified');
  });
});
