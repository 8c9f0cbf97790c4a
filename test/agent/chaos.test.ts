import { expect } from 'chai';
import { modelOptions as nodeModelOptions } from '../../src/config/node.ts';
import { parseConfig } from '../../src/config/config.ts';
import type { LoadFailure } from '../../src/kernel/classify.ts';
import { buildModel } from '../../src/model/build.ts';
import type { ClusterState, EndpointSlice, Node, Service } from '../../src/source/objects.ts';
import { endpoint, port, service, slice, state } from '../support/state.ts';
import { agentParts } from './agent-parts.ts';

const steps = 3_000;
const quietEvery = 60;
const node: Node = {
  metadata: { name: 'node-1' },
  status: { addresses: [{ type: 'InternalIP', address: '172.18.0.11' }] },
};
const addresses = ['127.0.0.1', '172.18.0.11'];
const foreign = [
  ['nat', '-A PREROUTING -s 192.0.2.1/32 -j ACCEPT'],
  ['nat', '-A POSTROUTING -s 192.0.2.0/24 -j MASQUERADE'],
  ['filter', '-A INPUT -s 192.0.2.9/32 -j DROP'],
] as const;

/** Services that no step touches, of every kind whose rules could be in the way of a change of others. */
const steady = {
  services: [
    service({ clusterIP: '10.96.9.1' }, { name: 'steady' }),
    service(
      { clusterIP: '10.96.9.2', type: 'NodePort', ports: [port({ nodePort: 32_000 })], sessionAffinity: 'ClientIP' },
      { name: 'steady-node-port' },
    ),
  ],
  slices: ['steady', 'steady-node-port'].map((name, index) =>
    slice([endpoint(`10.244.9.${index}1`), endpoint(`10.244.9.${index}2`)], {}, name),
  ),
};

/** The same sequence each time, so that what fails can be run again. */
function random(seed: number): () => number {
  let value = seed;
  return () => {
    value = (Math.imul(value, 1664525) + 1013904223) >>> 0;
    return value / 2 ** 32;
  };
}

describe('the agent among random events and faults', function () {
  this.timeout(180_000);

  for (const seed of [1, 20_261_121]) {
    it(`has the desired rules after every quiet spell, and takes nothing from foreigners or unchanged Services (seed ${seed})`, async () => {
      const chance = random(seed);
      const pick = <T>(items: readonly T[]): T => items[Math.floor(chance() * items.length)]!;
      const parts = await agentParts({ flags: {} });
      const { agent, clock, kernel, source } = parts;
      for (const [table, rule] of foreign) kernel.tamper(table, rule);
      agent.start();
      parts.tellAddresses(addresses);
      const world = new World(chance);
      const steadily = await watchSteady(parts);
      source.becomes(world.state());
      let isConnected = true;
      let failures: readonly LoadFailure['kind'][] = [];
      kernel.failure = () => (failures.length > 0 && chance() < 0.7 ? pick(failures) : undefined);

      const actions: readonly (() => void | Promise<void>)[] = [
        () => {
          world.change();
        },
        () => {
          world.change();
          if (isConnected) source.becomes(world.state());
        },
        () => {
          if (isConnected) source.becomes(world.state());
        },
        () => {
          isConnected = !isConnected;
          if (isConnected) source.becomes(world.state());
        },
        () => {
          failures = pick<readonly LoadFailure['kind'][]>([
            [],
            [],
            ['lock-held'],
            ['killed'],
            ['environment'],
            ['conflict'],
          ]);
        },
        () => {
          kernel.listFailure = chance() < 0.2 ? 'cannot be read' : undefined;
        },
        () => {
          kernel.refuses = chance() < 0.3 ? world.someAddress() : undefined;
        },
        () => {
          const touched = tamper(kernel, chance);
          const changes = touched.map((object) => `delete rule ip ${object} handle 1`);
          const told = { generation: 1, pid: 99, processName: 'vandal', changes, changeCount: changes.length };
          if (touched.length > 0) parts.monitor()?.onCommit(told);
        },
        () => {
          parts.monitor()?.onGap('nft monitor: overrun');
        },
        () => clock.advance(chance() * 5_000),
        () => clock.advance(chance() < 0.05 ? 3_600_000 : 10),
      ];

      for (let step = 1; step <= steps; step++) {
        await pick(actions)();
        await clock.advance(chance() * 200);
        if (step % quietEvery !== 0) continue;
        isConnected = true;
        failures = [];
        kernel.listFailure = undefined;
        kernel.refuses = undefined;
        source.becomes(world.state());
        // What was refused is tried again after ten minutes, what was fought for after one.
        await clock.advance(700_000);
        const { config } = await parseConfig({ ipFamily: 'IPv4' }, () => '');
        const options = nodeModelOptions(config, { nodeName: 'node-1', node, addresses }, 'IPv4');
        const backend = kernel.backend();
        const plan = backend.plan(backend.parse(kernel.save()), backend.desired(buildModel(world.state(), options)));
        expect(plan.changes, `step ${step}`).to.deep.equal([]);
        expect(
          parts.isReady(),
          `ready at step ${step}: ${JSON.stringify([...parts.health.report().families])}`,
        ).to.equal(true);
        expect(steadily.harmed, `step ${step}`).to.deep.equal([]);
        for (const [table, rule] of foreign) {
          expect(kernel.chains(table).get(rule.split(' ')[1]!)!.rules, `step ${step}`).to.include(rule);
        }
      }
      expect(parts.fatal).to.deep.equal([]);
      expect(steadily.commits()).to.be.greaterThan(steps / 10);
      await agent.stop();
    });
  }
});

/**
 * Makes the rules of the steady Services alone, and from then on looks at each single commit: whatever it is for, it
 * may take away none of the rules that they need, nor bring one that is about them. So whatever reached an endpoint of
 * theirs before it does so after it, connections under way (which nat no longer looks at) as well as new ones.
 */
async function watchSteady({ source, clock, kernel }: Awaited<ReturnType<typeof agentParts>>) {
  source.becomes(state(steady.services, steady.slices, { node }));
  await clock.advance(5_000);
  const needed = new Set(
    kernel
      .save()
      .split('\n')
      .filter((line) => line.startsWith('-A ')),
  );
  expect([...needed].filter((rule) => rule.includes('steady'))).to.have.length.greaterThan(10);
  const harmed: string[] = [];
  let commits = 0;
  kernel.onCommit = ({ gone, come }) => {
    commits += 1;
    harmed.push(...gone.filter((rule) => needed.has(rule)).map((rule) => `gone: ${rule}`));
    harmed.push(
      ...come.filter((rule) => /steady|10\.96\.9\./.test(rule) && !needed.has(rule)).map((rule) => `came: ${rule}`),
    );
  };
  return { harmed, commits: () => commits };
}

/** A cluster that changes at random. */
class World {
  readonly #chance: () => number;
  readonly #services = new Map<number, Service>();
  readonly #slices = new Map<number, EndpointSlice>();

  constructor(chance: () => number) {
    this.#chance = chance;
    for (let index = 0; index < 8; index++) this.#put(index);
  }

  change(): void {
    const index = Math.floor(this.#chance() * 12);
    const dice = this.#chance();
    if (dice < 0.15) this.#services.delete(index);
    else if (dice < 0.3) this.#slices.delete(index);
    else this.#put(index);
  }

  someAddress(): string {
    return `10.244.0.${Math.floor(this.#chance() * 12)}:8080`;
  }

  state(): ClusterState {
    const services = [...steady.services, ...this.#services.values()];
    return state(services, [...steady.slices, ...this.#slices.values()], { node });
  }

  #put(index: number): void {
    const name = `svc-${index}`;
    const isNodePort = this.#chance() < 0.3;
    const ports = [port(isNodePort ? { nodePort: 30_000 + index } : {})];
    const policy = this.#chance() < 0.2 ? { externalTrafficPolicy: 'Local' } : {};
    const affinity = this.#chance() < 0.2 ? { sessionAffinity: 'ClientIP' } : {};
    const type = isNodePort ? 'NodePort' : 'ClusterIP';
    this.#services.set(
      index,
      service({ clusterIP: `10.96.0.${index + 10}`, type, ports, ...policy, ...affinity }, { name }),
    );
    const count = Math.floor(this.#chance() * 4);
    const endpoints = Array.from({ length: count }, () => endpoint(`10.244.0.${Math.floor(this.#chance() * 12)}`));
    this.#slices.set(index, slice(endpoints, {}, name));
  }
}

/** Does something to our rules that somebody with root could do; gives the objects it touched. */
function tamper(kernel: Awaited<ReturnType<typeof agentParts>>['kernel'], chance: () => number): readonly string[] {
  const chains = [...kernel.chains('nat')].filter(([name, { rules }]) => name.startsWith('KUBE-') && rules.length > 0);
  const found = chains[Math.floor(chance() * chains.length)];
  if (found === undefined) return [];
  const [name, { rules }] = found;
  if (chance() < 0.4) kernel.tamper('nat', `-F ${name}`);
  else if (chance() < 0.5) kernel.tamper('nat', `-D ${name} ${Math.ceil(chance() * rules.length)}`);
  else kernel.tamper('nat', `-I ${name} 1 -s 198.51.100.1/32 -j RETURN`);
  const jumps = kernel.chains('nat').get('PREROUTING')!.rules;
  const own = jumps.findIndex((rule) => rule.includes('KUBE-SERVICES'));
  if (chance() < 0.2 && own !== -1) {
    kernel.tamper('nat', `-D PREROUTING ${own + 1}`);
    return [`nat ${name}`, 'nat PREROUTING'];
  }
  return [`nat ${name}`];
}
