import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { goldenCases, goldenDirectory, goldenInputs, goldenOutputs } from './support/golden.ts';

const index = readFileSync(join(goldenDirectory, 'README.md'), 'utf8');

describe('golden', () => {
  for (const name of goldenCases()) {
    describe(name, () => {
      it('says on its first line what it shows, and stands in the index', () => {
        const [input = ''] = goldenInputs(name);
        const first = readFileSync(join(goldenDirectory, name, input), 'utf8').split('\n')[0] ?? '';
        expect(first).to.match(/^# \S.{10,}/);
        expect(index).to.include(`\`${name}\``);
      });

      it('comes out as it stands there, byte for byte', async () => {
        const outputs = await goldenOutputs(name);
        for (const [file, text] of outputs) {
          const path = join(goldenDirectory, name, file);
          expect(existsSync(path), `${path} is missing: run npm run golden and read the diff`).to.be.true;
          expect(text.split('\n'), file).to.deep.equal(readFileSync(path, 'utf8').split('\n'));
        }
        expect(readdirSync(join(goldenDirectory, name)).toSorted()).to.deep.equal(
          [...goldenInputs(name), ...outputs.keys()].toSorted(),
        );
      });
    });
  }
});
