// Imported before the app: hooks, which run in a thread of their own, make up a module.
import { register } from 'node:module';

register('./made-up.mjs', import.meta.url);
