import { nearName } from './near-name.ts';

/** A feature gate of kube-proxy 1.36 that means something here, or is met so often that it should be known. */
interface FeatureGate {
  readonly initial: boolean;
  readonly stage: 'alpha' | 'beta' | 'ga';
  /** Cannot be set to anything else. */
  readonly isLocked?: boolean;
  /** Known, but Portwright does not do what it asks for. */
  readonly isUnserved?: boolean;
}

const gates: ReadonlyMap<string, FeatureGate> = new Map([
  ['AllowServiceExternalIPs', { initial: true, stage: 'ga' }],
  ['ComponentFlagz', { initial: true, stage: 'beta' }],
  ['ComponentStatusz', { initial: true, stage: 'beta' }],
  ['ContextualLogging', { initial: true, stage: 'beta' }],
  ['LoggingAlphaOptions', { initial: false, stage: 'alpha' }],
  ['LoggingBetaOptions', { initial: true, stage: 'beta' }],
  ['MultiCIDRServiceAllocator', { initial: true, stage: 'ga', isLocked: true }],
  ['NFTablesProxyMode', { initial: true, stage: 'ga', isLocked: true }],
  ['NativeHistograms', { initial: false, stage: 'alpha', isUnserved: true }],
  ['PreferSameTrafficDistribution', { initial: true, stage: 'ga', isLocked: true }],
]);

/** Gates that stand for all of a stage. */
const stageGates: ReadonlyMap<string, 'alpha' | 'beta'> = new Map([
  ['AllAlpha', 'alpha'],
  ['AllBeta', 'beta'],
]);

/** What the gates are, given those that were set: the default, all of its stage, or itself, the last one wins. */
export function effectiveGates(given: ReadonlyMap<string, boolean>): ReadonlyMap<string, boolean> {
  const byStage = new Map([...stageGates].map(([name, stage]) => [stage as string, given.get(name)]));
  return new Map([...gates].map(([name, gate]) => [name, given.get(name) ?? byStage.get(gate.stage) ?? gate.initial]));
}

/** Gates that cannot be what they were set to. */
export function lockedGates(given: ReadonlyMap<string, boolean>): readonly string[] {
  return [...given].flatMap(([name, on]) => {
    const gate = gates.get(name);
    return gate?.isLocked === true && gate.initial !== on ? [name] : [];
  });
}

/** One warning for each gate that has no effect: nobody knows it, or it asks for what we do not do. */
export function idleGateWarnings(given: ReadonlyMap<string, boolean>): readonly string[] {
  return [...given]
    .filter(([name, on]) => (gates.get(name)?.isUnserved === true ? on : !gates.has(name) && !stageGates.has(name)))
    .map(([name]) => {
      if (gates.has(name)) return `feature gate ${name} has no effect here`;
      const near = nearName(name, [...gates.keys()]);
      return `feature gate ${name} has no effect here${near === undefined ? '' : `; did you mean ${near}?`}`;
    });
}
