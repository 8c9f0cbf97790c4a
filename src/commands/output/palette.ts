import picocolors from 'picocolors';
import type { CommandEffects } from '../command.ts';

/** Paints words for people; each is the identity function where there is no terminal. */
export interface Palette {
  readonly added: (text: string) => string;
  readonly removed: (text: string) => string;
  readonly heading: (text: string) => string;
  readonly faint: (text: string) => string;
}

/** Colours, or none where nobody would see them. */
export function palette(effects: Pick<CommandEffects, 'hasColour'>): Palette {
  const colours = picocolors.createColors(effects.hasColour);
  return { added: colours.green, removed: colours.red, heading: colours.bold, faint: colours.dim };
}
