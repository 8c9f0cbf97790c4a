import { expect } from 'chai';
import { previewPrinter } from '../../../src/commands/run/preview.ts';
import type { PreviewFormat } from '../../../src/commands/run/preview.ts';
import type { CommandEffects } from '../../../src/commands/command.ts';
import type { ProxyModel } from '../../../src/model/model.ts';
import type { Plan } from '../../../src/ruleset/plan.ts';
import { FakeClock } from '../../agent/fake-clock.ts';
import { proxyModel, servicePort } from '../../agent/models.ts';

const warning = { object: 'Service default/dns', field: 'spec.externalIPs[0]', reason: 'Invalid', message: 'is none' };
const ipv4 = { ...proxyModel([servicePort()]), warnings: [warning] };
const ipv6: ProxyModel = { ...ipv4, family: 'IPv6' };

function plan(...rules: readonly string[]): Plan {
  const changes = rules.map((rule) => ({
    ...{ object: 'nat KUBE-SERVICES', kind: 'change' as const, before: [], after: [rule] },
    service: { namespace: 'default', name: 'dns' },
  }));
  return { changes, scripts: [], after: { parts: [] } };
}

function preview(format: PreviewFormat) {
  const clock = new FakeClock();
  const printed: string[] = [];
  const said: string[] = [];
  const effects = {
    ...{ hasColour: false, env: {}, signal: new AbortController().signal },
    print: (text: string) => printed.push(text),
    say: (text: string) => said.push(text),
  } as unknown as CommandEffects;
  const leftovers = new Map([
    ['IPv4' as const, ['nat KUBE-OLD']],
    ['IPv6' as const, []],
  ]);
  return { clock, printed, said, tell: previewPrinter({ format, effects, clock, leftovers }) };
}

describe('portwright run --dry-run', () => {
  it('makes one report of the syncs of both families, as diff would', async () => {
    const { clock, printed, tell } = preview('json');
    tell(ipv4, plan('-A one'), 10.4);
    await clock.advance(1_000);
    expect(printed).to.deep.equal([]);
    tell(ipv6, plan(), 5);
    await clock.advance(1_000);
    expect(printed).to.have.length(1);
    expect(printed[0]).to.match(/^[^\n]*\n$/);
    const found = JSON.parse(printed[0]!) as {
      families: { family: string; services: unknown[]; leftovers: unknown }[];
    };
    expect(found).to.deep.include({ differs: true, applied: false, durationMs: 15, warnings: [warning] });
    expect(found.families.map(({ family, services }) => [family, services.length])).to.deep.equal([
      ['IPv4', 1],
      ['IPv6', 0],
    ]);
    expect(found.families[0]!.leftovers).to.deep.equal(['nat KUBE-OLD']);
  });

  it('is silent while it would do the same, and reports once more when that changes', async () => {
    const { clock, printed, tell } = preview('json');
    for (const rule of ['-A one', '-A one', '-A one', '-A two']) {
      tell(ipv4, plan(rule), 1);
      tell(ipv6, plan(), 1);
      await clock.advance(1_000);
    }
    expect(printed).to.have.length(2);
    expect(printed[1]).to.include('-A two').and.not.to.include('-A one');
  });

  it('does not wait for ever for a family that cannot be read', async () => {
    const { clock, printed, tell } = preview('json');
    tell(ipv4, plan('-A one'), 1);
    await clock.advance(10_000);
    expect(printed).to.have.length(1);
  });

  it('reports also when syncs follow each other without a pause', async () => {
    const { clock, printed, tell } = preview('text');
    for (let sync = 0; sync < 50; sync++) {
      tell(ipv4, plan(`-A ${sync}`), 1);
      tell(ipv6, plan(), 1);
      await clock.advance(50);
    }
    expect(printed.length).to.be.within(5, 20);
  });

  it('prints the scripts of each family, once for as long as they are the same', () => {
    const { printed, tell } = preview('script');
    const scripts = (tool: 'iptables-restore' | 'ip6tables-restore', text: string) => ({
      ...plan(),
      scripts: [{ tool, phase: 'change' as const, segments: [{ text }] }],
    });
    for (const text of ['*nat\nCOMMIT\n', '*nat\nCOMMIT\n', '*filter\nCOMMIT\n']) {
      tell(ipv4, scripts('iptables-restore', text), 1);
      tell(ipv6, scripts('ip6tables-restore', '*nat\nCOMMIT\n'), 1);
    }
    expect(printed).to.deep.equal([
      '# iptables-restore --noflush -w 5\n*nat\nCOMMIT\n',
      '# ip6tables-restore --noflush -w 5\n*nat\nCOMMIT\n',
      '# iptables-restore --noflush -w 5\n*filter\nCOMMIT\n',
    ]);
  });

  it('says in words how much would change, and prints YAML documents', async () => {
    const text = preview('text');
    text.tell(ipv4, plan('-A one'), 1);
    text.tell(ipv6, plan('-A one'), 1);
    await text.clock.advance(1_000);
    expect(text.said).to.deep.equal(['1 Service would change; nothing is written']);
    const yaml = preview('yaml');
    yaml.tell(ipv4, plan('-A one'), 1);
    yaml.tell(ipv6, plan(), 1);
    await yaml.clock.advance(1_000);
    // The library that writes YAML is loaded when it is first needed.
    await import('js-yaml');
    await yaml.clock.advance(0);
    expect(yaml.printed.join('')).to.match(/^---\ndiffers: true\nfamilies:\n {2}- family: IPv4\n/);
  });
});
