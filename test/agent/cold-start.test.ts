import { expect } from 'chai';
import type { Backend } from '../../src/agent/backend.ts';
import { renderInPieces } from '../../src/agent/cold-start.ts';
import { createNftablesBackend } from '../../src/nftables/backend.ts';
import type { ProxyModel } from '../../src/model/model.ts';
import type { Ruleset } from '../../src/ruleset/ruleset.ts';
import { FakeKernel } from '../support/fake-kernel.ts';
import { proxyModel, servicePort } from './models.ts';

const ports = Array.from({ length: 1_700 }, (_, index) =>
  servicePort({ name: `svc-${index}`, clusterIP: `10.96.${index >> 8}.${index & 255}` }),
);
const never = () => Promise.reject(new Error('no kernel here'));

describe('agent/cold-start: a large model rendered in pieces', () => {
  const backends: readonly [string, Backend][] = [
    ['iptables', new FakeKernel().backend()],
    ['nftables', createNftablesBackend('IPv4', { list: never, listNews: never, load: never, tryLoad: never })],
  ];
  for (const [name, backend] of backends) {
    it(`is remembered, port by port, and leaves turns to others (${name})`, async () => {
      const rendered: Ruleset[] = [];
      let turns = 0;
      let isDone = false;
      const count = () => {
        turns += 1;
        if (!isDone) setImmediate(count);
      };
      setImmediate(count);
      const desired = (model: ProxyModel) => {
        rendered.push(backend.desired(model));
        return backend.desired(model);
      };
      await renderInPieces({ desired }, proxyModel(ports));
      isDone = true;
      expect(turns).to.be.at.least(4);
      const known = new Set(rendered.flatMap(({ parts }) => parts));
      const { parts } = backend.desired(proxyModel(ports));
      expect(parts.length).to.be.at.least(ports.length);
      expect(parts.filter((part) => !known.has(part)).length).to.be.lessThan(5);
    });
  }

  it('does nothing beforehand for a model that renders in no time', async () => {
    const desired = () => {
      throw new Error('rendered');
    };
    await renderInPieces({ desired }, proxyModel(ports.slice(0, 400)));
  });
});
