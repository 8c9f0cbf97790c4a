import { createSocket } from 'node:dgram';
import { connect } from 'node:net';

import type { Identity, Outcome, Probe } from './prober-messages.ts';

const resendEveryMs = 1000;
/** Above the node ports, which the node's own servers use. */
const lowestPort = 33_000;
const highestPort = 65_000;
let lastUdpPort = highestPort;

/** Sends one connection and says what became of it. */
export function probe(target: Probe): Promise<Outcome> {
  return target.protocol === 'tcp' ? probeTcp(target) : probeUdp(target);
}

function probeTcp({ source, destination, port, timeoutMs }: Probe): Promise<Outcome> {
  return new Promise((resolve) => {
    const socket = connect({ host: destination, port, localAddress: source });
    const cancel = afterPolling(timeoutMs, () => {
      finish({ kind: 'silence' });
    });
    let received = '';
    const finish = (outcome: Outcome) => {
      cancel();
      socket.resetAndDestroy(); // A reset leaves no TIME_WAIT that would use up source ports.
      resolve(outcome);
    };
    socket.on('data', (data) => {
      received += data.toString();
      if (received.includes('\n')) finish({ kind: 'answer', from: JSON.parse(received) as Identity });
    });
    socket.on('end', () => {
      finish({ kind: 'error', code: 'ended early' });
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      finish(failure(error));
    });
  });
}

function probeUdp({ source, sourcePort, destination, port, timeoutMs }: Probe): Promise<Outcome> {
  return new Promise((resolve) => {
    const socket = createSocket(source.includes(':') ? 'udp6' : 'udp4');
    const cancel = afterPolling(timeoutMs, () => {
      finish({ kind: 'silence' });
    });
    let isFinished = false;
    const finish = (outcome: Outcome) => {
      if (isFinished) return;
      isFinished = true;
      cancel();
      socket.close();
      resolve(outcome);
    };
    // From the same port, as TCP does it: connection tracking keeps a flow that was lost on its way where it was sent.
    const resend = () => {
      if (isFinished) return;
      socket.send('?', (error) => {
        if (error) fail(error);
      });
      setTimeout(resend, resendEveryMs);
    };
    const fail = (error: NodeJS.ErrnoException) => {
      // A rule in OUTPUT that drops or rejects fails the sending itself; only a reject is followed by an ICMP error.
      if (error.code !== 'EPERM') finish(failure(error));
    };
    socket.on('message', (data) => {
      finish({ kind: 'answer', from: JSON.parse(data.toString()) as Identity });
    });
    socket.on('error', fail);
    socket.bind({ address: source, port: sourcePort ?? freshPort() }, () => {
      // Connected, because only a connected socket hears of ICMP errors.
      socket.connect(port, destination, (error?: Error) => {
        if (error) fail(error);
        else resend();
      });
    });
  });
}

/** The kernel picks ports at random, and one that comes again within minutes meets the flow that is still tracked. */
function freshPort(): number {
  lastUdpPort = lastUdpPort === highestPort ? lowestPort : lastUdpPort + 1;
  return lastUdpPort;
}

function failure(error: NodeJS.ErrnoException): Outcome {
  if (error.code === 'ECONNREFUSED') return { kind: 'refused' };
  return { kind: 'error', code: error.code ?? error.message };
}

/** A timer that lets what already arrived be read first: on a busy machine both come due in one turn of the loop. */
function afterPolling(milliseconds: number, act: () => void): () => void {
  let isCancelled = false;
  const timer = setTimeout(() => {
    setImmediate(() =>
      setImmediate(() => {
        if (!isCancelled) act();
      }),
    );
  }, milliseconds);
  return () => {
    isCancelled = true;
    clearTimeout(timer);
  };
}
