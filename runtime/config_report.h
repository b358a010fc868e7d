/* config_report.h - what config.c tells the report while it walks the file. */
#ifndef RUNTIME_CONFIG_REPORT_H
#define RUNTIME_CONFIG_REPORT_H
#include <stdarg.h>

#include "tandem/config.h"

#define CONFIG_FAULTS_MAX 1000

/* Remember where a key is. */
void config_report_place(struct tdm_config_report *report, const char *key, uint32_t line, uint32_t column);

/* Add a fault or warning at a place. */
void config_report_add(struct tdm_config_report *report, bool warning, uint32_t line, uint32_t column,
                       const char *key, const char *allowed, const char *format, ...)
    __attribute__((format(printf, 7, 8)));

/* Bring the faults into the order of the file. */
void config_report_sort(struct tdm_config_report *report);

#endif
