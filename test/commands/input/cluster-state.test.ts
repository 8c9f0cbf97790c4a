import { expect } from 'chai';
import type { CommandEffects } from '../../../src/commands/command.ts';
import { clusterState } from '../../../src/commands/input/cluster-state.ts';
import { parseConfig } from '../../../src/config/config.ts';
import { startFakeApiServer } from '../../support/fake-api-server.ts';

describe('the state of a cluster, read once', function () {
  this.timeout(60_000);

  it('says for what it waits while the server gives none', async () => {
    const server = await startFakeApiServer();
    const { config } = await parseConfig({ master: server.url, hostnameOverride: 'node-1' }, () => '');
    const end = server.misbehave({ fault: { kind: 'status', code: 503 } });
    const said: string[] = [];
    const effects = {
      env: {},
      say: (line: string) => {
        said.push(line);
        end();
      },
    } as unknown as CommandEffects;
    try {
      const { state } = await clusterState(config, effects);
      expect(state.services).to.deep.equal([]);
      expect(said).to.have.lengthOf(1);
      expect(said[0]).to.match(/^note: waiting for the API server, up to 30 s: services: .*503/);
    } finally {
      await server.goDown();
    }
  });
});
