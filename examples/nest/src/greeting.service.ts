import { Injectable, type OnApplicationShutdown } from '@nestjs/common';

@Injectable()
export class GreetingService implements OnApplicationShutdown {
  greet() {
    return { hello: 'from NestJS', pid: process.pid };
  }

  // Called when all connections are done with, before the process ends.
  onApplicationShutdown(signal?: string) {
    console.log(`${signal}: done`);
  }
}
