import { expect } from 'chai';
import { ServiceLedger } from '../../src/agent/service-ledger.ts';
import type { ProxyModel, ServicePort, Warning } from '../../src/model/model.ts';
import { proxyModel, servicePort } from './models.ts';

describe('agent/service-ledger', () => {
  const a = servicePort({ name: 'a' });
  const b = servicePort({ name: 'b', portName: 'one' });
  const b2 = servicePort({ name: 'b', portName: 'two' });
  const quarantine: Warning = { object: 'Service default/b', field: '', reason: 'Refused', message: 'by the kernel' };

  function setUp() {
    const time = { seconds: 0 };
    const ledger = new ServiceLedger(() => new Date(time.seconds * 1000));
    /** `name state desired applied verified`, in seconds. */
    const lines = () =>
      ledger
        .statuses()
        .map(({ name, state, desired, applied, verified }) =>
          [
            name,
            state,
            ...[desired, applied, verified].map((at) => (at === undefined ? '-' : at.getTime() / 1000)),
          ].join(' '),
        );
    const at = (seconds: number, act: (ledger: ServiceLedger) => void) => {
      time.seconds = seconds;
      act(ledger);
      return lines();
    };
    return { ledger, at };
  }

  const model = (...ports: ServicePort[]): ProxyModel => proxyModel(ports);

  it('tells what is asked for, written and found, and since when', () => {
    const { at } = setUp();
    expect(
      at(1, (ledger) => {
        ledger.desired(model(a, b));
      }),
    ).to.deep.equal(['a pending 1 - -', 'b pending 1 - -']);
    expect(
      at(2, (ledger) => {
        ledger.applied(new Map());
      }),
    ).to.deep.equal(['a ok 1 2 -', 'b ok 1 2 -']);
    expect(
      at(3, (ledger) => {
        ledger.verified();
      }),
    ).to.deep.equal(['a ok 1 2 3', 'b ok 1 2 3']);
    expect(
      at(4, (ledger) => {
        ledger.desired(model(a, { ...b }));
      }),
    ).to.deep.equal(['a ok 1 2 3', 'b pending 4 - -']);
    expect(
      at(5, (ledger) => {
        ledger.applied(new Map());
      }),
    ).to.deep.equal(['a ok 1 2 3', 'b ok 4 5 -']);
    expect(
      at(6, (ledger) => {
        ledger.verified();
      }),
    ).to.deep.equal(['a ok 1 2 6', 'b ok 4 5 6']);
  });

  it('forgets Services that are gone, and sees ports come and go', () => {
    const { at } = setUp();
    at(1, (ledger) => {
      ledger.desired(model(a, b, b2));
      ledger.applied(new Map());
    });
    expect(
      at(2, (ledger) => {
        ledger.desired(model(a, b));
      }),
    ).to.deep.equal(['a ok 1 1 -', 'b pending 2 - -']);
    expect(
      at(3, (ledger) => {
        ledger.desired(model(b, b2));
      }),
    ).to.deep.equal(['b pending 3 - -']);
    expect(
      at(4, (ledger) => {
        ledger.desired(model());
        ledger.applied(new Map());
      }),
    ).to.deep.equal([]);
  });

  it('shows a quarantined Service with its reason until it is applied', () => {
    const { at, ledger } = setUp();
    at(1, () => {
      ledger.desired(model(a, b));
    });
    expect(
      at(2, () => {
        ledger.applied(new Map([['default/b', quarantine]]));
        ledger.verified();
      }),
    ).to.deep.equal(['a ok 1 2 2', 'b quarantined 1 - -']);
    expect(ledger.statuses()[1]!.warnings).to.deep.equal([quarantine]);
    expect(
      at(3, () => {
        ledger.applied(new Map());
      }),
    ).to.deep.equal(['a ok 1 2 2', 'b ok 1 3 -']);
    expect(ledger.statuses()[1]!.warnings).to.deep.equal([]);
  });

  it('shows warnings, and Services of which nothing is left', () => {
    const { at, ledger } = setUp();
    const warn = (object: string): Warning => ({ object, field: 'spec.clusterIP', reason: 'NoAddress', message: 'no' });
    const warnings = [warn('Service default/a'), warn('Service default/none'), warn('EndpointSlice default/a-1')];
    expect(
      at(1, () => {
        ledger.desired(proxyModel([a], { warnings }));
        ledger.applied(new Map());
      }),
    ).to.deep.equal(['a ok 1 1 -', 'none quarantined 1 - -']);
    expect(ledger.statuses().map((status) => status.warnings)).to.deep.equal([[warnings[0]], [warnings[1]]]);
    expect(
      at(2, () => {
        ledger.desired(proxyModel([a], { warnings }));
      }),
    ).to.deep.equal(['a ok 1 1 -', 'none quarantined 1 - -']);
    expect(
      at(3, () => {
        ledger.desired(proxyModel([a]));
      }),
    ).to.deep.equal(['a ok 1 1 -']);
  });
});
