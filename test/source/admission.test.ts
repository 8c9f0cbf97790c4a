import { expect } from 'chai';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { cidrContains } from '../../src/source/address.ts';
import { readManifests } from '../../src/source/manifests.ts';
import type { ManifestOptions } from '../../src/source/manifests.ts';
import type { Service, ServiceSpec } from '../../src/source/objects.ts';
import { parseDocuments } from '../../src/source/yaml.ts';

const corpus = join(import.meta.dirname, '..', 'corpus', 'admission');
const ranges = ['10.96.0.0/12', 'fd00:10:96::/108'];
const options: ManifestOptions = {
  namespace: 'default',
  serviceClusterIPRanges: ranges,
  nodePortRange: { first: 30_000, last: 32_767 },
};

interface Answer {
  readonly accepted: boolean;
  readonly message?: string;
  readonly causes?: readonly { reason: string; message: string; field: string }[];
  readonly stored?: Service;
}

describe('admission of Services', () => {
  for (const name of readdirSync(corpus)) {
    it(`answers as an API server: ${name}`, () => {
      const text = readFileSync(join(corpus, name, 'input.yaml'), 'utf8');
      const answers = JSON.parse(readFileSync(join(corpus, name, 'answer.json'), 'utf8')) as Answer[];
      const { documents } = parseDocuments({ file: 'input.yaml', text });
      const { state, problems } = readManifests([{ file: 'input.yaml', text }], options);
      expect(documents.length).to.equal(answers.length);
      const refused = new Map(problems.map((problem) => [problem.document, problem]));
      const accepted = [...state.services];
      for (const [index, { document, value }] of documents.entries()) {
        const answer = answers[index]!;
        const problem = refused.get(document);
        if (answer.accepted) {
          expect(problem?.message).to.equal(undefined);
          expectStored(accepted.shift(), answer.stored!, (value as Service).spec);
        } else {
          expect(problem?.message).to.equal(answer.message);
          expect(problem?.causes ?? []).to.deep.equal(answer.causes);
          expect(problem?.line).to.be.greaterThan(0);
        }
      }
      expect(accepted).to.deep.equal([]);
    });
  }
});

/** Equal but for what the server chose: there the range and the band are compared. */
function expectStored(actual: Service | undefined, stored: Service, asked: ServiceSpec): void {
  expect(actual, 'the Service').not.to.equal(undefined);
  const { clusterIP, clusterIPs, ports, ...rest } = actual!.spec;
  const { clusterIP: storedIP, clusterIPs: storedIPs, ports: storedPorts, ...storedRest } = stored.spec;
  expect(rest).to.deep.equal(storedRest);
  expect(actual!.status).to.deep.equal(stored.status);
  expect(actual!.metadata).to.deep.equal(stored.metadata);

  expect(clusterIP).to.equal(clusterIPs?.[0]);
  expect(clusterIPs?.map(rangeOf)).to.deep.equal(storedIPs?.map(rangeOf));
  if (asked.clusterIP !== undefined) expect(clusterIP).to.equal(storedIP);
  expect(ports?.length).to.equal(storedPorts?.length);
  for (const [index, port] of (ports ?? []).entries()) {
    const storedPort = storedPorts![index]!;
    const isChosen = asked.ports?.[index]?.nodePort === undefined && storedPort.nodePort !== undefined;
    expect({ ...port, nodePort: 0 }).to.deep.equal({ ...storedPort, nodePort: 0 });
    if (!isChosen) expect(port.nodePort).to.equal(storedPort.nodePort);
    // The band above the static one: 30086 to 32767.
    else expect(port.nodePort).to.be.within(30_086, 32_767);
  }
}

function rangeOf(address: string): string | undefined {
  return ranges.find((range) => cidrContains(range, address));
}
