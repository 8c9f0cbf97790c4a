import { createSocket } from 'node:dgram';

import type { Inits } from './prober-messages.ts';

/** What follows the ports and the verification tag of an SCTP packet: a checksum nobody here checks, and an INIT. */
const init = Buffer.from(
  [
    '00000000', // checksum
    '01000014', // chunk INIT, no flags, 20 bytes
    '5eed5eed', // initiate tag
    '00010000', // receiver window
    '00010001', // one stream each way
    '00000001', // initial TSN
  ].join(''),
  'hex',
);

/** Sends the datagrams; what rules of the lab make of them is not our business. */
export async function sendInits({ source, destination, port, firstPort, count }: Inits): Promise<void> {
  for (let offset = 0; offset < count; offset += 1) await sendOne(firstPort + offset);

  function sendOne(localPort: number): Promise<void> {
    const socket = createSocket('udp4');
    return new Promise((resolve, reject) => {
      socket.once('error', reject);
      socket.bind({ address: source, port: localPort }, () => {
        // A rule in OUTPUT that refuses the packet makes sending fail; what became of it is counted elsewhere.
        socket.send(init, port, destination, () => {
          socket.close();
          resolve();
        });
      });
    });
  }
}
