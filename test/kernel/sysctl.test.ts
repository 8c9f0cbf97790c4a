import { expect } from 'chai';
import { SysctlError } from '../../src/kernel/errors.ts';
import { filesThrough, ownFiles } from '../../src/kernel/files.ts';
import { createRun } from '../../src/kernel/run.ts';
import { createSysctl, routeLocalnet } from '../../src/kernel/sysctl.ts';
import { createKernelLab, rejection, type KernelLab } from './lab.ts';

describe('kernel settings', function () {
  this.timeout(60_000);
  let lab: KernelLab;

  beforeEach(async () => {
    lab = await createKernelLab('sysctl');
  });
  afterEach(() => lab.remove());

  it('are written once, and read back', async () => {
    const sysctl = createSysctl(lab.files);
    expect(await sysctl.read(routeLocalnet)).to.equal('0');
    expect(await sysctl.ensure(routeLocalnet, '1')).to.equal('changed');
    expect(await sysctl.ensure(routeLocalnet, '1')).to.equal('unchanged');
    expect(await lab.namespace.mustExec('sysctl', '-n', 'net.ipv4.conf.all.route_localnet')).to.equal('1\n');
  });

  const failure = async (promise: Promise<unknown>) => {
    const error = await rejection(promise);
    expect(error).to.be.instanceOf(SysctlError);
    return error as SysctlError;
  };

  it('that do not exist read as absent, and say so when written', async () => {
    const sysctl = createSysctl(lab.files);
    expect(await sysctl.read('net/nosuch')).to.equal(undefined);
    const error = await failure(sysctl.ensure('net/nosuch', '1'));
    expect(error.reason).to.equal('missing');
    expect(error.message).to.contain('net/nosuch');
  });

  it('that are mounted read-only say what to do', async () => {
    const mount = 'mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys && exec "$@"';
    const prefix = [...lab.options.prefix, ['unshare', '-m', 'sh', '-c', mount, 'sh']] as const;
    const error = await failure(
      createSysctl(filesThrough(createRun({ ...lab.options, prefix }))).ensure(routeLocalnet, '1'),
    );
    expect(error.reason).to.equal('read-only');
    expect(error.message).to.contain('from 0 to 1').and.to.contain('init container');
  });

  it('that we may not write say which right is missing', async () => {
    const user = ['setpriv', '--reuid', '65534', '--clear-groups', '--inh-caps=-all'] as const;
    const prefix = [...lab.options.prefix, user];
    const error = await failure(
      createSysctl(filesThrough(createRun({ ...lab.options, prefix }))).ensure(routeLocalnet, '1'),
    );
    expect(error.reason).to.equal('not-permitted');
    expect(error.message).to.contain('CAP_NET_ADMIN');
  });

  it('outside of /proc/sys name their own mount and right', async () => {
    const failing = (code: string) => ({
      read: () => Promise.resolve('1\n'),
      write: () => Promise.reject(new Error(`${code}: no`)),
    });
    const hashsize = createSysctl(failing('EROFS')).ensure('/sys/module/nf_conntrack/parameters/hashsize', '2');
    expect((await failure(hashsize)).message).to.contain('; /sys is mounted read-only');
    const oom = createSysctl(failing('EACCES')).ensure('/proc/self/oom_score_adj', '-999');
    expect((await failure(oom)).message)
      .to.contain('CAP_SYS_RESOURCE')
      .and.not.to.contain('CAP_NET_ADMIN');
  });

  it('that the kernel refuses say the value', async () => {
    const error = await failure(createSysctl(lab.files).ensure('net/ipv4/ip_local_port_range', '9 1'));
    expect(error.reason).to.equal('refused');
    expect(error.message).to.contain('9 1');
  });

  it('that take a value without keeping it are reported', async () => {
    const files = { read: () => Promise.resolve('5\n'), write: () => Promise.resolve() };
    expect((await failure(createSysctl(files).ensure('x', '6'))).reason).to.equal('ignored');
  });

  it('of our own namespace are read without a tool', async () => {
    expect(await createSysctl(ownFiles).read('kernel/ostype')).to.equal('Linux');
    expect(await createSysctl(ownFiles).read('net/nosuch/deeper')).to.equal(undefined);
  });
});
