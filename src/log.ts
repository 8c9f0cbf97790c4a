import { Writable } from 'node:stream';
import { createLogger as createWinston, format, transports } from 'winston';
import { jsonLine, textLine } from './log-line.ts';
import type { LogEntry, LogFields, Severity } from './log-line.ts';

/**
 * Where the edges of the program (agent, commands) say what happened. Messages are constant, data goes into fields.
 * Levels of `debug` are those of `-v`: 1 the flags, 2 a sync's stages, 4 decisions and error stacks, 6 and more whole texts.
 */
export interface Logger {
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  debug(level: number, message: string, fields?: LogFields): void;
  /** Guards the making of fields that cost something. */
  isEnabled(level: number): boolean;
}

export interface LoggerOptions {
  readonly format: 'text' | 'json';
  /** The value of `-v`, 0 or more. */
  readonly verbosity: number;
  /** Where lines go, usually the standard error. */
  readonly stream: NodeJS.WritableStream;
  readonly now?: () => Date;
}

/** The level from which errors are printed with their stacks. */
const stackVerbosity = 4;

/** A logger that writes one line an entry, and drops lines (and says how many) when nobody reads them. */
export function createLogger(options: LoggerOptions): Logger {
  const { verbosity, now = () => new Date() } = options;
  const print = options.format === 'json' ? jsonLine : (entry: LogEntry) => textLine(entry, process.pid);
  const winston = createWinston({
    level: 'info',
    format: format.printf((info) => print(info.entry as LogEntry)),
    // eslint-disable-next-line @typescript-eslint/no-unsafe-class-instance-assignment -- winston types its transports as interfaces
    transports: [new transports.Stream({ stream: droppingStream(options.stream), eol: '\n' })],
  });

  const write = (severity: Severity, level: number, message: string, fields: LogFields = {}) => {
    const withStacks = verbosity >= stackVerbosity;
    const entry: LogEntry = { severity, verbosity: level, message, fields, time: now(), withStacks };
    winston.log({ level: winstonLevels[severity], message, entry });
  };
  return {
    info: (message, fields) => {
      write('info', 0, message, fields);
    },
    warn: (message, fields) => {
      write('warning', 0, message, fields);
    },
    error: (message, fields) => {
      write('error', 0, message, fields);
    },
    debug: (level, message, fields) => {
      if (verbosity >= level) write('info', level, message, fields);
    },
    isEnabled: (level) => verbosity >= level,
  };
}

const winstonLevels: Readonly<Record<Severity, string>> = { info: 'info', warning: 'warn', error: 'error' };

// What a reader that stalls may cost in memory before lines are dropped.
const maxBufferedBytes = 1024 * 1024;

function droppingStream(stream: NodeJS.WritableStream): Writable {
  let dropped = 0;
  // A reader that went away (EPIPE) must not end the agent: it logs into the void until it is restarted.
  stream.on('error', () => {
    dropped++;
  });
  return new Writable({
    decodeStrings: false,
    write(line: string, _encoding, done) {
      if (((stream as Partial<Writable>).writableLength ?? 0) > maxBufferedBytes) dropped++;
      else {
        if (dropped > 0) stream.write(`portwright: ${dropped} log lines were dropped: nobody read them\n`);
        dropped = 0;
        stream.write(line);
      }
      done();
    },
  });
}

const maxLimitedKeys = 1000;

/**
 * The same logger, but each message (together with its `object` field, when it has one) at most once an interval; the
 * next one printed says under `suppressed` how many were not. For what repeats while a fault lasts.
 * `now` is monotonic, in milliseconds.
 */
export function rateLimited(logger: Logger, now: () => number, intervalMs = 10_000): Logger {
  const said = new Map<string, { at: number; suppressed: number }>();
  const limited =
    (print: Logger['info']) =>
    (message: string, fields: LogFields = {}) => {
      const key = JSON.stringify([message, fields.object]);
      const last = said.get(key);
      if (last !== undefined && now() - last.at < intervalMs) {
        last.suppressed++;
        return;
      }
      said.delete(key);
      said.set(key, { at: now(), suppressed: 0 });
      const oldest = said.keys().next();
      if (said.size > maxLimitedKeys && oldest.done !== true) said.delete(oldest.value);
      print(message, last !== undefined && last.suppressed > 0 ? { ...fields, suppressed: last.suppressed } : fields);
    };
  return {
    info: limited((message, fields) => {
      logger.info(message, fields);
    }),
    warn: limited((message, fields) => {
      logger.warn(message, fields);
    }),
    error: limited((message, fields) => {
      logger.error(message, fields);
    }),
    debug: (level, message, fields) => {
      logger.debug(level, message, fields);
    },
    isEnabled: (level) => logger.isEnabled(level),
  };
}
