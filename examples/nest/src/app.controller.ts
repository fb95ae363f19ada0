import { Controller, Get } from '@nestjs/common';
import { GreetingService } from './greeting.service.js';

@Controller()
export class AppController {
  constructor(private readonly greeting: GreetingService) {}

  @Get()
  greet() {
    return this.greeting.greet();
  }

  @Get('healthz')
  health() {
    return { status: 'up', uptime: process.uptime() };
  }
}
