import { expect } from 'chai';
import { hostAddresses } from '../../src/kernel/interfaces.ts';
import { createRun } from '../../src/kernel/run.ts';
import { createKernelLab } from './lab.ts';

describe('the addresses of the host', function () {
  this.timeout(60_000);

  it('are those of all interfaces, also of one that is down, in canonical text and order', async () => {
    const lab = await createKernelLab('addresses');
    try {
      await lab.namespace.shell(
        'ip link add pwdown type veth peer name pwpeer; ip addr add 192.0.2.7/24 dev pwdown; ip addr add 2001:DB8:0:0::0007/64 dev pwdown; ip addr add 10.0.0.9/32 dev lo',
      );
      const addresses = await hostAddresses(lab.run);
      expect(addresses).to.deep.equal([
        { interfaceName: 'lo', family: 'IPv4', address: '10.0.0.9', prefixLength: 32 },
        { interfaceName: 'lo', family: 'IPv4', address: '127.0.0.1', prefixLength: 8 },
        { interfaceName: 'lo', family: 'IPv6', address: '::1', prefixLength: 128 },
        { interfaceName: 'pwdown', family: 'IPv4', address: '192.0.2.7', prefixLength: 24 },
        { interfaceName: 'pwdown', family: 'IPv6', address: '2001:db8::7', prefixLength: 64 },
      ]);
    } finally {
      await lab.remove();
    }
  });

  it('are found without `ip` too', async () => {
    const addresses = await hostAddresses(createRun({ paths: { searched: [], find: () => undefined } }));
    expect(addresses.map(({ address }) => address)).to.include('127.0.0.1');
  });
});
