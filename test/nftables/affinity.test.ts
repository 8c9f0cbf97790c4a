import { expect } from 'chai';
import { buildModel } from '../../src/model/build.ts';
import { desiredNftables } from '../../src/nftables/render.ts';
import { nftablesProgram } from '../../src/nftables/walk.ts';
import { outcomeOf } from '../../src/ruleset/walk-outcome.ts';
import { walk } from '../../src/ruleset/walk.ts';
import { packetOf, recordedHost } from '../ruleset/flows.ts';
import { endpoint, modelOptions, service, slice, state } from '../support/state.ts';

describe('session affinity', () => {
  const dial = (count: number) => {
    const endpoints = Array.from({ length: count }, (_, index) => endpoint(`10.244.${index >> 8}.${index & 255}`));
    const cluster = state([service({ sessionAffinity: 'ClientIP' })], [slice(endpoints)]);
    const rules = desiredNftables(buildModel(cluster, modelOptions()));
    const packet = packetOf({
      from: 'outside',
      source: '172.18.0.100',
      destination: '10.96.0.10',
      port: 80,
      protocol: 'tcp',
    });
    return outcomeOf(walk([nftablesProgram(rules)], packet, recordedHost()));
  };

  for (const count of [1, 2, 3, 7, 300]) {
    it(`gives each of ${count} endpoints the same share of new clients, and loses none`, () => {
      const { endpoints, others, affinity } = dial(count);
      expect(endpoints).to.have.lengthOf(count);
      for (const { probability } of endpoints) expect(probability).to.be.closeTo(1 / count, 1e-9);
      expect({ others, affinity }).to.deep.equal({ others: [], affinity: true });
    });
  }
});
