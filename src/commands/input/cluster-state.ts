import { hostname } from 'node:os';
import { systemClock } from '../../agent/runner.ts';
import type { Config } from '../../config/config.ts';
import { nodeName } from '../../config/node.ts';
import { createClusterSource } from '../../source/kubernetes/cluster.ts';
import type { ClusterSource } from '../../source/kubernetes/cluster.ts';
import { loadCredentials } from '../../source/kubernetes/credentials.ts';
import type { Effects } from '../../source/kubernetes/effects.ts';
import { createClient } from '../../source/kubernetes/request.ts';
import type { ClusterState } from '../../source/objects.ts';
import type { CommandEffects } from '../command.ts';
import { TroubleError } from '../failure.ts';
import type { FoundState } from './found-state.ts';

/** A command that is run once does not wait for ever for a server that is away. */
const patienceMs = 30_000;
/** Whoever waits longer than this is told for what. */
const silenceMs = 3_000;

/** One snapshot of a cluster. Throws TroubleError when it cannot be had. */
export async function clusterState(config: Config, effects: CommandEffects): Promise<FoundState> {
  const sourceEffects: Effects = { clock: systemClock, random: Math.random, log: silent };
  const client = createClient(loadCredentials(config, { env: effects.env }), sourceEffects);
  const source = createClusterSource({ client, nodeName: nodeName(config, [], hostname()) }, sourceEffects);
  try {
    source.start();
    return { state: await firstSnapshot(source, effects), nodes: [], problems: [], warnings: [] };
  } finally {
    await source.stop();
    client.close();
  }
}

async function firstSnapshot(source: ClusterSource, effects: CommandEffects): Promise<ClusterState> {
  return new Promise((resolve, reject) => {
    const speak = systemClock.after(silenceMs, () => {
      const [first = 'no answer'] = complaints(source);
      effects.say(`note: waiting for the API server, up to ${patienceMs / 1000} s: ${first}`);
    });
    const giveUp = systemClock.after(patienceMs, () => {
      reject(
        new TroubleError(
          `the API server did not tell its state within ${patienceMs / 1000} s: ${complaints(source).join('; ')}`,
        ),
      );
    });
    const look = () => {
      const state = source.snapshot();
      if (state === undefined) return;
      speak();
      giveUp();
      resolve(state);
    };
    source.onChange(look);
    look();
  });
}

function complaints(source: ClusterSource): readonly string[] {
  const missing = [...source.status()].filter(([, status]) => !status.isSynced);
  return missing.map(([resource, { lastError }]) => `${resource}: ${lastError ?? 'no answer'}`);
}

const silent: Effects['log'] = { info: ignore, warn: ignore, debug: ignore };

function ignore(): void {
  // What goes wrong is said once, when patience ends.
}
