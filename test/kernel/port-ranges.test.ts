import { expect } from 'chai';
import { ephemeralPorts, isEphemeral } from '../../src/kernel/port-ranges.ts';

describe('the ports of outgoing connections', () => {
  const cases = [
    { range: '32768\t60999\n', reserved: '\n', port: 32768, isTaken: true },
    { range: '32768\t60999\n', reserved: '\n', port: 30000, isTaken: false },
    { range: '1024\t60999\n', reserved: '8080,30000-32767\n', port: 30080, isTaken: false },
    { range: '1024\t60999\n', reserved: '8080,30000-32767\n', port: 8080, isTaken: false },
    { range: '1024\t60999\n', reserved: '8080,30000-32767\n', port: 8081, isTaken: true },
  ];
  for (const { range, reserved, port, isTaken } of cases) {
    it(`${isTaken ? 'take' : 'leave out'} ${port} of ${range.trim()} with "${reserved.trim()}" reserved`, async () => {
      const texts = new Map([
        ['/proc/sys/net/ipv4/ip_local_port_range', range],
        ['/proc/sys/net/ipv4/ip_local_reserved_ports', reserved],
      ]);
      const found = await ephemeralPorts({ read: (path) => Promise.resolve(texts.get(path)) });
      expect(found !== undefined && isEphemeral(found, port)).to.equal(isTaken);
    });
  }

  it('are not known where the kernel does not tell', async () => {
    const broken = { read: () => Promise.reject(new Error('EACCES')) };
    expect(await ephemeralPorts(broken)).to.equal(undefined);
  });
});
