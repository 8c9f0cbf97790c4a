import type { ServerResponse } from 'node:http';
import { gzipSync } from 'node:zlib';

/** A way to go wrong. Those without a comment are what the word says. */
export type Fault =
  /** Takes the request and never answers. */
  | { readonly kind: 'hang' }
  | { readonly kind: 'status'; readonly code: number; readonly retryAfterSeconds?: number; readonly html?: true }
  /** 200 with a page. */
  | { readonly kind: 'html' }
  | { readonly kind: 'redirect'; readonly to: string }
  /** Half of the body, then the connection is cut. */
  | { readonly kind: 'truncate' }
  /** Half of the body as if it were all. */
  | { readonly kind: 'halve' }
  /** A good list without items. */
  | { readonly kind: 'empty' }
  | { readonly kind: 'nullItems' }
  /** No resourceVersion in the list. */
  | { readonly kind: 'noVersion' }
  /** The body in pieces of this many bytes, a few milliseconds apart. */
  | { readonly kind: 'slow'; readonly bytes: number }
  /** A watch that opens well and then sends nothing, whatever happens. */
  | { readonly kind: 'mute' }
  /** A list as a stream that does not say when all objects have come. */
  | { readonly kind: 'noInitialEnd' }
  /** As servers without the WatchList feature answer. */
  | { readonly kind: 'refuseWatchList' }
  /** A gzip body that grows to this size. */
  | { readonly kind: 'bomb'; readonly bytes: number }
  /** This text with status 200. */
  | { readonly kind: 'text'; readonly body: string };

/** Answers with the fault; false when the fault only changes the ordinary answer. */
export function answerFault(
  fault: Fault,
  request: { readonly verb: string; readonly resource: string },
  response: ServerResponse,
): boolean {
  const page = '<html><body>Sign in to continue</body></html>';
  switch (fault.kind) {
    case 'hang':
      return true;
    case 'status': {
      const retry = fault.retryAfterSeconds;
      if (retry !== undefined) response.setHeader('Retry-After', String(retry));
      if (fault.html === true) response.writeHead(fault.code, { 'Content-Type': 'text/html' }).end(page);
      else
        sendStatus(
          response,
          fault.code,
          'Failure',
          `made to answer ${fault.code} to ${request.verb} ${request.resource}`,
        );
      return true;
    }
    case 'html':
      response.writeHead(200, { 'Content-Type': 'text/html' }).end(page);
      return true;
    case 'redirect':
      response.writeHead(302, { Location: fault.to }).end();
      return true;
    case 'refuseWatchList':
      sendStatus(
        response,
        422,
        'Invalid',
        'ListOptions.meta.k8s.io "" is invalid: sendInitialEvents: Forbidden: ' +
          'sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled',
      );
      return true;
    case 'bomb':
      response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Encoding': 'gzip' });
      response.end(gzipSync(Buffer.alloc(fault.bytes, ' ')));
      return true;
    case 'text':
      response.writeHead(200, { 'Content-Type': 'application/json' }).end(fault.body);
      return true;
    default:
      return false;
  }
}

/** Answers with a Status object, as the API does for anything but success. */
export function sendStatus(response: ServerResponse, code: number, reason: string, message: string): void {
  const body = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason, code };
  response.writeHead(code, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
}

/** Answers 200 with this body, bent by the fault if it is one of bodies. */
export function sendBody(
  response: ServerResponse,
  body: string,
  { fault, isGzip }: { readonly fault: Fault | undefined; readonly isGzip: boolean },
): void {
  const bytes = isGzip ? gzipSync(body) : Buffer.from(body);
  const headers = { 'Content-Type': 'application/json', ...(isGzip ? { 'Content-Encoding': 'gzip' } : {}) };
  switch (fault?.kind) {
    case 'truncate':
      response.writeHead(200, { ...headers, 'Content-Length': bytes.length });
      response.write(bytes.subarray(0, bytes.length / 2), () => response.socket?.destroySoon());
      break;
    case 'halve': {
      const half = body.slice(0, body.length / 2);
      response.writeHead(200, headers).end(isGzip ? gzipSync(half) : half);
      break;
    }
    case 'slow':
      response.writeHead(200, headers);
      void dribble(response, bytes, fault.bytes).then(() => response.end());
      break;
    default:
      response.writeHead(200, headers).end(bytes);
  }
}

/** Writes bytes in small pieces with pauses. */
export async function dribble(response: ServerResponse, bytes: Buffer, pieceBytes: number): Promise<void> {
  for (let start = 0; start < bytes.length; start += pieceBytes) {
    response.write(bytes.subarray(start, start + pieceBytes));
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}
