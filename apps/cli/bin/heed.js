#!/usr/bin/env node
// Committed, so that package managers find the command before it is built.
import '../dist/main.js'
