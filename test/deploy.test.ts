import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type {
  V1ClusterRole,
  V1ClusterRoleBinding,
  V1ConfigMap,
  V1Container,
  V1DaemonSet,
  V1ServiceAccount,
} from '@kubernetes/client-node';
import { expect } from 'chai';
import { JSON_SCHEMA, load, loadAll } from 'js-yaml';
import { createMetrics } from '../src/agent/metrics.ts';
import { decodeConfigurationFile } from '../src/config/configuration-file.ts';
import { violationsOf } from '../src/config/configuration-violations.ts';
import { schemaProblems } from './kubernetes-schema.ts';

const root = join(import.meta.dirname, '..');
const deploy = join(root, 'deploy');
const overlays = ['nftables', 'legacy', 'kubeadm', 'labelled-nodes'];

interface Kustomization {
  readonly resources: readonly string[];
  readonly patches?: readonly {
    readonly target: { readonly kind: string; readonly name: string };
    readonly patch: string;
  }[];
}

interface Operation {
  readonly op: 'add' | 'replace' | 'remove';
  readonly path: string;
  readonly value?: unknown;
}

interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string };
}

function read(...path: string[]): string {
  return readFileSync(join(deploy, ...path), 'utf8');
}

/** The objects of a folder after its patches, as kustomize makes them. */
function build(folder: string): Manifest[] {
  const { resources, patches = [] } = load(read(folder, 'kustomization.yaml'), {
    schema: JSON_SCHEMA,
  }) as Kustomization;
  let objects = resources.flatMap((resource) =>
    resource.endsWith('.yaml')
      ? (loadAll(read(folder, resource), undefined, { schema: JSON_SCHEMA }) as Manifest[])
      : build(join(folder, resource)),
  );
  for (const { target, patch } of patches) {
    const index = objects.findIndex(({ kind, metadata }) => kind === target.kind && metadata.name === target.name);
    expect(index, `${folder}: patch of ${target.kind} ${target.name}`).to.be.at.least(0);
    const operations = load(patch, { schema: JSON_SCHEMA }) as Operation[] | { $patch: 'delete' };
    if (Array.isArray(operations)) for (const operation of operations) apply(objects[index]!, operation);
    else objects = objects.toSpliced(index, 1);
  }
  return objects;
}

/** One operation of a JSON patch; throws where there is nothing to replace or remove. */
function apply(object: object, { op, path, value }: Operation): void {
  const keys = path.split('/').slice(1);
  const last = keys.pop()!;
  let parent = object as Record<string, unknown>;
  for (const key of keys) parent = parent[key] as Record<string, unknown>;
  if (op !== 'add' && !(last in parent)) throw new Error(`${path}: nothing is there`);
  if (!Array.isArray(parent)) parent[last] = value;
  else if (op === 'remove') parent.splice(Number(last), 1);
  else if (op === 'replace') parent[Number(last)] = value;
  else parent.splice(last === '-' ? parent.length : Number(last), 0, value);
}

interface Kinds {
  readonly ServiceAccount: V1ServiceAccount;
  readonly ConfigMap: V1ConfigMap;
  readonly ClusterRole: V1ClusterRole;
  readonly ClusterRoleBinding: V1ClusterRoleBinding;
  readonly DaemonSet: V1DaemonSet;
}

function find<K extends keyof Kinds>(objects: readonly Manifest[], kind: K): Kinds[K] {
  const found = objects.find((object) => object.kind === kind);
  if (found === undefined) throw new Error(`no ${kind}`);
  return found as unknown as Kinds[K];
}

function podOf(objects: readonly Manifest[]) {
  const { spec } = find(objects, 'DaemonSet');
  const pod = spec!.template.spec!;
  return { pod, agent: pod.containers[0]!, settings: pod.initContainers![0]! };
}

describe('deploy', () => {
  const types = new Map([
    ['v1 ServiceAccount', 'V1ServiceAccount'],
    ['v1 ConfigMap', 'V1ConfigMap'],
    ['rbac.authorization.k8s.io/v1 ClusterRole', 'V1ClusterRole'],
    ['rbac.authorization.k8s.io/v1 ClusterRoleBinding', 'V1ClusterRoleBinding'],
    ['apps/v1 DaemonSet', 'V1DaemonSet'],
  ]);
  for (const folder of ['base', ...overlays.map((name) => join('overlays', name))]) {
    describe(folder, () => {
      it('holds only fields that Kubernetes knows, with values of their types', () => {
        for (const object of build(folder)) {
          const type = types.get(`${object.apiVersion} ${object.kind}`);
          expect(type, `${object.apiVersion} ${object.kind}`).to.be.a('string');
          expect(schemaProblems(object, type!)).to.deep.equal([]);
        }
      });

      it('mounts what is there, at most once a path', () => {
        const { pod, agent, settings } = podOf(build(folder));
        const volumes = new Set(pod.volumes!.map((volume) => volume.name));
        for (const { volumeMounts = [] } of [agent, settings]) {
          for (const mount of volumeMounts) expect([...volumes]).to.include(mount.name);
          expect(new Set(volumeMounts.map((mount) => mount.mountPath)).size).to.equal(volumeMounts.length);
        }
        expect([...volumes].sort()).to.deep.equal(agent.volumeMounts!.map((mount) => mount.name).sort());
      });

      it('reads its configuration where it is mounted, in both containers alike', () => {
        const { agent, settings } = podOf(build(folder));
        const { mountPath } = agent.volumeMounts!.find((mount) => mount.name === 'config')!;
        expect(agent.args).to.include(`--config=${mountPath}/config.conf`);
        expect(settings.args!.filter((arg) => arg !== '--init-only')).to.deep.equal(agent.args);
        expect(settings.args).to.include('--init-only');
        expect(settings.volumeMounts).to.deep.equal(agent.volumeMounts);
      });

      it('has no right but those over the network, and writes nowhere but in memory', () => {
        const { pod, agent } = podOf(build(folder));
        expect(agent.securityContext).to.deep.include({
          runAsUser: 0,
          privileged: false,
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
        });
        expect(agent.securityContext!.capabilities).to.deep.equal({
          drop: ['ALL'],
          add: folder.endsWith('legacy') ? ['NET_ADMIN', 'NET_RAW'] : ['NET_ADMIN'],
        });
        expect(pod.securityContext!.seccompProfile).to.deep.equal({ type: 'RuntimeDefault' });
        expect(pod).not.to.have.any.keys('hostPID', 'hostIPC');
        const paths = pod.volumes!.flatMap((volume) => volume.hostPath?.path ?? []);
        expect(paths).to.deep.equal(['/run/portwright', ...(folder.endsWith('nftables') ? [] : ['/run/xtables.lock'])]);
      });
    });
  }

  it('would notice a field that Kubernetes does not know, and a value of a wrong type', () => {
    const container = {
      name: 'x',
      image: 1,
      securityContext: { readOnlyRootFileSystem: true },
      ports: [{ containerPort: '1' }],
    };
    expect(schemaProblems(container, 'V1Container')).to.have.length(3);
  });

  describe('names and ports', () => {
    const objects = build('base');
    const daemonSet = find(objects, 'DaemonSet');
    const configMap = find(objects, 'ConfigMap');
    const { pod, agent, settings } = podOf(objects);

    it('belong together', () => {
      const account = find(objects, 'ServiceAccount').metadata!;
      const binding = find(objects, 'ClusterRoleBinding');
      expect(pod.serviceAccountName).to.equal(account.name);
      expect(binding.subjects).to.deep.equal([
        { kind: 'ServiceAccount', name: account.name, namespace: account.namespace },
      ]);
      expect(binding.roleRef.name).to.equal(find(objects, 'ClusterRole').metadata!.name);
      expect(daemonSet.spec!.template.metadata!.labels).to.deep.include(daemonSet.spec!.selector.matchLabels!);
      expect(daemonSet.metadata!.namespace).to.equal(account.namespace);
      expect(pod.volumes!.find((volume) => volume.name === 'config')!.configMap!.name).to.equal(
        configMap.metadata!.name,
      );
    });

    it('say the same in the configuration and in the pod', () => {
      const file = decodeConfigurationFile('config.conf', configMap.data!['config.conf']!);
      expect(file.warnings).to.deep.equal([]);
      expect(file.problems).to.deep.equal([]);
      const { configuration } = file;
      expect(violationsOf(configuration)).to.deep.equal([]);
      const port = (name: string) => agent.ports!.find((candidate) => candidate.name === name)!.containerPort;
      expect(configuration.healthzBindAddress).to.match(new RegExp(`:${port('healthz')}$`));
      expect(configuration.metricsBindAddress).to.match(new RegExp(`:${port('metrics')}$`));
      expect(agent.livenessProbe!.httpGet).to.deep.equal({ path: '/livez', port: 'healthz' });
      expect(agent.readinessProbe!.httpGet).to.deep.equal({ path: '/readyz', port: 'healthz' });
      const { mountPath } = agent.volumeMounts!.find((mount) => mount.name === 'config')!;
      const { kubeconfig } = configuration.clientConnection;
      expect(configMap.data).to.have.property(kubeconfig.replace(`${mountPath}/`, ''));
    });

    it('name the image of this version', () => {
      const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
      for (const container of [agent, settings]) expect(container.image).to.equal(`portwright:${version}`);
      expect(read('Dockerfile')).to.include(`-t portwright:${version} `);
    });

    it('let the agent run on every node, before everything else and without the cluster DNS', () => {
      expect(pod).to.deep.include({
        hostNetwork: true,
        priorityClassName: 'system-node-critical',
        dnsPolicy: 'Default',
      });
      expect(pod.tolerations).to.deep.equal([{ operator: 'Exists' }]);
    });

    it('restart an agent so seldom that kubelet does not make it wait', () => {
      const { periodSeconds = 0, failureThreshold = 0 } = (agent as Required<V1Container>).livenessProbe;
      expect(periodSeconds * failureThreshold).to.be.at.least(600);
    });
  });

  it('asks for no right that kube-proxy does not have', () => {
    const { rules } = find(build('base'), 'ClusterRole');
    const asked = rules!.flatMap(({ apiGroups = [], resources = [], verbs }) =>
      apiGroups.flatMap((group) =>
        resources.flatMap((resource) => verbs.map((verb) => `${verb} ${resource}.${group}`)),
      ),
    );
    expect(asked.sort()).to.deep.equal([
      'create events.events.k8s.io',
      'list endpointslices.discovery.k8s.io',
      'list nodes.',
      'list servicecidrs.networking.k8s.io',
      'list services.',
      'watch endpointslices.discovery.k8s.io',
      'watch nodes.',
      'watch servicecidrs.networking.k8s.io',
      'watch services.',
    ]);
  });

  it('builds the image from files that exist, all of which reach the builder', () => {
    const dockerfile = read('Dockerfile').replace(/\\\n/g, ' ');
    const ignored = read('Dockerfile.dockerignore').split('\n');
    const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap((match) => match[1]!.split(' '));
    expect(copied).to.include.members(['package.json', 'src', 'templates', 'scripts']);
    for (const path of copied) {
      expect(existsSync(join(root, path)), path).to.equal(true);
      expect(ignored, path).to.include(`!${path}`);
    }
    const { bin, scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
      bin: { portwright: string };
      scripts: Record<string, string>;
    };
    expect(dockerfile).to.include(`ENTRYPOINT ["tini", "--", "node", "/portwright/${bin.portwright}"]`);
    expect(dockerfile).to.include(`ln -s /portwright/${bin.portwright} /usr/local/bin/portwright`);
    for (const [, script] of dockerfile.matchAll(/npm run (\w+)/g)) expect(scripts).to.have.property(script!);
  });

  it('has every tool in the image, and of the builder nothing but node and what it built', () => {
    const image = read('Dockerfile')
      .replace(/\\\n/g, ' ')
      .split(/^FROM /m)
      .at(-1)!;
    const packages = /apt-get install -y --no-install-recommends (.+?) &&/.exec(image)![1]!.trim().split(/\s+/);
    expect(packages).to.include.members(['conntrack', 'iproute2', 'iptables', 'nfacct', 'nftables', 'tini']);
    const taken = [...image.matchAll(/^COPY --from=build (\S+)/gm)].map((match) => match[1]);
    expect(taken).to.deep.equal(['/usr/local/bin/node', '/build/package.json', '/build/dist']);
    // A layer that deletes what a lower one has makes no image smaller.
    expect(image).to.match(/^debian:bookworm-slim\n/);
  });

  it('runs the standalone service with few rights, and leaves the rules when it ends', () => {
    const unit = new Map(
      read('systemd', 'portwright.service')
        .split('\n')
        .flatMap((line) => {
          const pair = /^([A-Z]\w+)=(.*)$/.exec(line);
          return pair === null ? [] : [[pair[1]!, pair[2]!] as const];
        }),
    );
    expect(unit.get('ExecStart')).to.match(/ run -f \//);
    expect(unit.get('CapabilityBoundingSet')).to.equal('CAP_NET_ADMIN CAP_NET_RAW');
    expect(unit.get('NoNewPrivileges')).to.equal('yes');
    expect(unit.get('KillMode')).to.equal('control-group');
    expect(unit.has('ExecStopPost')).to.equal(false);
    expect(unit.get('RestrictAddressFamilies')!.split(' ')).to.include.members([
      'AF_NETLINK',
      'AF_INET',
      'AF_INET6',
      'AF_UNIX',
    ]);
  });

  describe('monitoring', () => {
    /** Metrics of both modes by name, and the names of the series they have. */
    async function known(): Promise<{ metrics: Set<string>; series: Set<string> }> {
      const metrics = new Set<string>();
      const series = new Set<string>();
      for (const mode of ['iptables', 'nftables'] as const) {
        const counters = () => Promise.resolve(undefined);
        const recorder = await createMetrics({
          mode,
          families: 2,
          version: '0',
          now: () => 0,
          readiness: () => new Map(),
          counters,
          features: new Map(),
        });
        for (const [, name, type] of (await recorder.text()).matchAll(/^# TYPE (\S+) (\S+)$/gm)) {
          metrics.add(name!);
          for (const suffix of type === 'histogram' ? ['_bucket', '_sum', '_count'] : ['']) series.add(name! + suffix);
        }
      }
      return { metrics, series };
    }

    function metricsIn(expression: string): string[] {
      return [...expression.matchAll(/\b(?:kubeproxy|portwright|process|rest_client)_\w+/g)].map((match) => match[0]);
    }

    /** What every scraped series has: Prometheus's own, and the node by the relabelling of the PodMonitor. */
    const labelsOfAll = ['job', 'node'];
    // Prometheus itself makes it for each target.
    const ownSeries = ['up'];

    /** Labels by metric, as docs/metrics.md has them. */
    function documentedLabels(): Map<string, string[]> {
      const page = readFileSync(join(root, 'docs', 'metrics.md'), 'utf8');
      const rows = [...page.matchAll(/^\| `(\w+)` \| \w+ \|([^|]*)\|/gm)];
      return new Map(rows.map(([, name, labels]) => [name!, labels!.match(/\w+/g) ?? []]));
    }

    /** Those in matchers, groupings, and in texts that are filled in. */
    function labelsIn(expression: string, texts: readonly string[]): string[] {
      const groups = [...expression.matchAll(/\b(?:by|on|without) \(([^)]*)\)/g)].flatMap(([, list]) =>
        list!.split(','),
      );
      const matched = [...expression.matchAll(/(\w+)(?:=~|!~|!=|=)"/g)].map(([, label]) => label!);
      const filled = texts.flatMap((text) => [...text.matchAll(/\{\{ ?(?:\$labels\.)?(\w+) ?\}\}/g)]);
      return [...groups.map((label) => label.trim()), ...matched, ...filled.map(([, label]) => label!)];
    }

    it('draws and alerts on metrics that exist', async () => {
      const { series } = await known();
      const dashboard = JSON.parse(read('monitoring', 'grafana-dashboard.json')) as {
        panels: { id: number; title: string; targets: { expr: string; legendFormat: string }[] }[];
      };
      const rules = load(read('monitoring', 'prometheus-rule.yaml')) as {
        spec: { groups: { rules: { expr: string; annotations: Record<string, string> }[] }[] };
      };
      const alerts = rules.spec.groups.flatMap((group) => group.rules);
      const questions = [
        ...dashboard.panels.flatMap(({ targets }) => targets).map((one) => ({ ...one, texts: [one.legendFormat] })),
        ...alerts.map(({ expr, annotations }) => ({ expr, texts: Object.values(annotations) })),
      ];
      expect(questions).to.have.length.above(20);
      const labelsOf = documentedLabels();
      for (const { expr, texts } of questions) {
        const names = metricsIn(expr);
        if (names.length === 0) expect(ownSeries).to.include(/^\w+/.exec(expr)![0]);
        for (const name of names) expect([...series]).to.include(name);
        const bases = names.map((name) => name.replace(/_(?:bucket|sum|count)$/, ''));
        const labels = [...labelsOfAll, 'le', ...[...names, ...bases].flatMap((name) => labelsOf.get(name) ?? [])];
        expect(labels, expr).to.include.members(labelsIn(expr, texts));
      }
      expect(new Set(dashboard.panels.map((panel) => panel.id)).size).to.equal(dashboard.panels.length);
      for (const rule of alerts) expect(rule.annotations).to.have.all.keys('summary', 'description');
    });

    it('tells of an overdue sync also where requests keep coming', () => {
      const rules = load(read('monitoring', 'prometheus-rule.yaml')) as {
        spec: { groups: { rules: { alert: string; expr: string }[] }[] };
      };
      const overdue = rules.spec.groups.flatMap((group) => group.rules).find(({ alert }) => alert.endsWith('Overdue'))!;
      expect(overdue.expr).to.not.match(/time\(\) - \w+_last_queued_timestamp/);
    });

    it('finds the pods and the port of the DaemonSet', () => {
      const monitor = load(read('monitoring', 'pod-monitor.yaml')) as {
        spec: { selector: { matchLabels: Record<string, string> }; podMetricsEndpoints: { port: string }[] };
      };
      const { spec } = find(build('base'), 'DaemonSet');
      expect(spec!.template.metadata!.labels).to.deep.include(monitor.spec.selector.matchLabels);
      const ports = spec!.template.spec!.containers[0]!.ports!.map((port) => port.name);
      for (const { port } of monitor.spec.podMetricsEndpoints) expect(ports).to.include(port);
    });

    it('is documented, metric by metric', async () => {
      const page = readFileSync(join(root, 'docs', 'metrics.md'), 'utf8');
      const { metrics } = await known();
      const documented = new Set([...page.matchAll(/^\| `(\w+)`/gm)].map((match) => match[1]!));
      expect([...documented].sort()).to.deep.equal([...metrics].sort());
    });
  });

  it('has every folder it describes, and describes every folder it has', () => {
    const readme = read('README.md');
    const folders = readdirSync(join(deploy, 'overlays')).map((name) => `overlays/${name}`);
    for (const folder of ['base', 'monitoring', 'systemd', ...folders]) expect(readme).to.include(`\`${folder}`);
    expect(overlays.map((name) => `overlays/${name}`)).to.have.members(folders);
  });
});
