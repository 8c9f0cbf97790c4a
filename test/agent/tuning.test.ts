import { expect } from 'chai';
import { conntrackTuning, isNeeded, oomTuning } from '../../src/agent/tuning.ts';
import type { Config } from '../../src/config/config.ts';

const nothing: Config['conntrack'] = {
  maxPerCore: 0,
  min: 131_072,
  tcpEstablishedTimeoutMs: 0,
  tcpCloseWaitTimeoutMs: 0,
  udpTimeoutMs: 0,
  udpStreamTimeoutMs: 0,
  tcpBeLiberal: false,
};

describe('agent/tuning', () => {
  function values(settings: Partial<Config['conntrack']>, cpus = 4): string[] {
    return conntrackTuning({ ...nothing, ...settings }, cpus).map(({ setting, value }) => `${setting}=${value}`);
  }

  const sizes: [string, number, number, number, number | undefined][] = [
    ['scales with the processors', 32_768, 131_072, 8, 262_144],
    ['keeps the minimum', 32_768, 131_072, 2, 131_072],
    ['stops at a mebi of entries', 32_768, 131_072, 64, 1_048_576],
    ['lets a minimum above that stand while scaling stays below', 1, 2_000_000, 2, 2_000_000],
    ['leaves the host alone without a number per core', 0, 131_072, 8, undefined],
  ];
  for (const [title, maxPerCore, min, cpus, max] of sizes) {
    it(`${title} for the size of the connection table`, () => {
      const expected =
        max === undefined
          ? []
          : [
              `net/netfilter/nf_conntrack_max=${max}`,
              `/sys/module/nf_conntrack/parameters/hashsize=${Math.floor(max / 4)}`,
            ];
      expect(values({ maxPerCore, min }, cpus)).to.deep.equal(expected);
    });
  }

  it('sets the times and liberal tracking that are configured, and no others', () => {
    expect(values({})).to.deep.equal([]);
    expect(
      values({
        tcpEstablishedTimeoutMs: 86_400_000,
        tcpCloseWaitTimeoutMs: 3_600_000,
        udpTimeoutMs: 0,
        tcpBeLiberal: true,
      }),
    ).to.deep.equal([
      'net/netfilter/nf_conntrack_tcp_timeout_established=86400',
      'net/netfilter/nf_conntrack_tcp_timeout_close_wait=3600',
      'net/netfilter/nf_conntrack_tcp_be_liberal=1',
    ]);
    expect(values({ udpTimeoutMs: 30_000, udpStreamTimeoutMs: 180_000 })).to.deep.equal([
      'net/netfilter/nf_conntrack_udp_timeout=30',
      'net/netfilter/nf_conntrack_udp_timeout_stream=180',
    ]);
  });

  it('rounds times down to whole seconds, but never to none', () => {
    expect(values({ udpTimeoutMs: 1, udpStreamTimeoutMs: 1_999.5 })).to.deep.equal([
      'net/netfilter/nf_conntrack_udp_timeout=1',
      'net/netfilter/nf_conntrack_udp_timeout_stream=1',
    ]);
  });

  it('raises the hash table but never shrinks it', () => {
    const [max, hashsize] = conntrackTuning({ ...nothing, maxPerCore: 32_768 }, 4);
    expect(isNeeded(hashsize!, '32768')).to.equal(false);
    expect(isNeeded(hashsize!, '65536')).to.equal(false);
    expect(isNeeded(hashsize!, '16384')).to.equal(true);
    expect(isNeeded(max!, '262144')).to.equal(true);
    expect(isNeeded(max!, '131072')).to.equal(false);
  });

  it('says of each setting what it is for and what to do without it', () => {
    const all = {
      maxPerCore: 1,
      tcpEstablishedTimeoutMs: 1,
      tcpCloseWaitTimeoutMs: 1,
      tcpBeLiberal: true,
      udpTimeoutMs: 1,
      udpStreamTimeoutMs: 1,
    };
    const tunings = [...conntrackTuning({ ...nothing, ...all }, 1), oomTuning(-999)];
    expect(tunings).to.have.length(8);
    for (const { reason, otherwise } of tunings) {
      expect(reason).to.have.length.above(20);
      expect(otherwise).to.match(/ on the host|CAP_SYS_RESOURCE/);
    }
  });
});
