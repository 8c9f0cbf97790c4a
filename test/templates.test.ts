import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import Handlebars from 'handlebars';
import { buildModel } from '../src/model/build.ts';
import type { ModelOptions } from '../src/model/options.ts';
import {
  filterContext,
  filterServicePortContext,
  natContext,
  natServicePortContext,
  surroundingsOf,
} from '../src/iptables/context.ts';
import {
  affinityContext,
  classesOf,
  elementsContext,
  hasAffinity,
  surroundingsOf as nftablesSurroundings,
  tableContext,
} from '../src/nftables/context.ts';
import { endpoint, modelOptions, port, service, slice, state } from './support/state.ts';

const templates = join(import.meta.dirname, '..', 'templates', 'iptables');

/** Every kind of rule at once: a template name that no context has would make its rules vanish without a word. */
const everything = state(
  [
    {
      ...service({
        type: 'LoadBalancer',
        ports: [port({ nodePort: 30_080 })],
        externalIPs: ['198.51.100.7'],
        loadBalancerSourceRanges: ['192.0.2.0/24'],
        externalTrafficPolicy: 'Local',
        healthCheckNodePort: 32_000,
        sessionAffinity: 'ClientIP',
      }),
      status: { loadBalancer: { ingress: [{ ip: '203.0.113.10' }] } },
    },
    service(
      {
        type: 'NodePort',
        clusterIP: '10.96.0.11',
        clusterIPs: ['10.96.0.11'],
        externalIPs: ['198.51.100.8'],
        ports: [port({ nodePort: 30_081 })],
      },
      { name: 'empty' },
    ),
    service({ clusterIP: '10.96.0.12', clusterIPs: ['10.96.0.12'] }, { name: 'plain' }),
  ],
  [slice([endpoint('10.244.1.1'), endpoint('10.244.1.2')]), slice([endpoint('10.244.1.3')], {}, 'plain')],
  { serviceCIDRs: [{ metadata: { name: 'kubernetes' }, spec: { cidrs: ['10.96.0.0/16'] } }] },
);

function contexts(options: Partial<ModelOptions>): Map<string, object[]> {
  const model = buildModel(everything, modelOptions(options));
  const counters = { counters: true };
  const surroundings = surroundingsOf(model, counters);
  return new Map<string, object[]>([
    ['nat.hbs', [{ ...natContext(model), rules: '' }]],
    ['filter.hbs', [{ ...filterContext(model, counters), rules: '' }]],
    ['service-port-nat.hbs', model.servicePorts.map((one) => natServicePortContext(one, surroundings))],
    ['service-port-filter.hbs', model.servicePorts.map(filterServicePortContext)],
  ]);
}

describe('templates of iptables mode', () => {
  const variants = [contexts({}), contexts({ nodePortAddresses: ['172.18.0.11'] })];

  it('are all checked here', () => {
    expect(readdirSync(templates).toSorted()).to.deep.equal([...contexts({}).keys()].toSorted());
  });

  for (const file of readdirSync(templates)) {
    it(`${file} uses the names of its context, all of them and no others`, () => {
      const found = variants.flatMap((variant) => variant.get(file) ?? []);
      expect(namesIn(readFileSync(join(templates, file), 'utf8'))).to.deep.equal(pathsOf(found));
    });
  }
});

describe('templates of nftables mode', () => {
  const directory = join(import.meta.dirname, '..', 'templates', 'nftables');
  const model = buildModel(everything, modelOptions({ nodePortAddresses: ['172.18.0.11'] }));
  // Session affinity keeps a service port out of the classes.
  const services = everything.services.map((one) => ({ ...one, spec: { ...one.spec, sessionAffinity: 'None' } }));
  const withoutAffinity = buildModel({ ...everything, services }, modelOptions());
  const around = nftablesSurroundings(model);
  const affinity = model.servicePorts.filter(hasAffinity).map((one) => affinityContext(one, around));
  const given = new Map<string, object[]>([
    ['table.hbs', [tableContext(model, model.servicePorts.flatMap(classesOf), () => 'x')]],
    ['service-port-elements.hbs', [model, withoutAffinity].flatMap((one) => one.servicePorts.map(elementsContext))],
    ['affinity-chains.hbs', affinity],
    ['affinity-sets.hbs', affinity],
  ]);

  it('are all checked here', () => {
    expect(readdirSync(directory).toSorted()).to.deep.equal([...given.keys()].toSorted());
  });

  for (const file of readdirSync(directory)) {
    it(`${file} asks only for what its context has`, () => {
      const source = readFileSync(join(directory, file), 'utf8');
      // A missing value throws when the template is rendered; a missing condition or list would say nothing.
      const known = [...pathsOf(given.get(file) ?? []), ...namesIn(source, 'values')];
      expect(known).to.include.members(namesIn(source));
    });
  }
});

/** `name` for a value or condition, `list/name` for what is used inside a list. */
function namesIn(source: string, which: 'all' | 'values' = 'all'): string[] {
  const names = new Set<string>();
  const walk = (statements: readonly hbs.AST.Statement[], prefix: string): void => {
    for (const statement of statements) {
      if (statement.type === 'MustacheStatement') {
        names.add(prefix + (statement as hbs.AST.MustacheStatement & { path: hbs.AST.PathExpression }).path.original);
      } else if (statement.type === 'BlockStatement') {
        const block = statement as hbs.AST.BlockStatement;
        expect(['if', 'each']).to.include(block.path.original);
        const subject = prefix + (block.params[0] as hbs.AST.PathExpression).original;
        if (which === 'all') names.add(subject);
        walk(block.program.body, block.path.original === 'each' ? `${subject}/` : prefix);
        walk((block.inverse as hbs.AST.Program | undefined)?.body ?? [], prefix);
      }
    }
  };
  walk(Handlebars.parse(source).body, '');
  return [...names].toSorted();
}

function pathsOf(objects: readonly object[], prefix = ''): string[] {
  const paths = new Set<string>();
  for (const object of objects) {
    for (const [name, value] of Object.entries(object)) {
      paths.add(prefix + name);
      if (Array.isArray(value)) for (const path of pathsOf(value as object[], `${prefix}${name}/`)) paths.add(path);
    }
  }
  return [...paths].toSorted();
}
