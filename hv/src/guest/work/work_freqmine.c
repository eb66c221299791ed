#include "work.h"
uint64_t run_freqmine(const struct params *p, struct env *env) { (void)p; env->print("stub"); return 0; }
