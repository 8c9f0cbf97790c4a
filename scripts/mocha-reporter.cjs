// The usual report, and the counts once more in a file, so that a script can print them as its last line.
const { writeFileSync } = require('node:fs');
const { reporters } = require('mocha');

module.exports = class extends reporters.Spec {
  constructor(runner, options) {
    super(runner, options);
    runner.once('end', () => {
      const { passes, failures, pending } = this.stats;
      // A test that did not run is no test that passed.
      const line = `${passes} passed, ${failures + pending} failed`;
      writeFileSync(options.reporterOptions.counts, `${line}\n`);
    });
  }
};
