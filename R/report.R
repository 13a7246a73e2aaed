# The report package writes about a linear mixed model of lme4 what it finds by accessors; its
# methods do the same for our fits.

by_report_method <- function(generic, fit, ...) {
  utils::getS3method(generic, "merMod", envir = asNamespace("report"))(fit, ...)
}

report.pp_fit <- function(x, ...) by_report_method("report", x, ...)

report_text.pp_fit <- function(x, ...) by_report_method("report_text", x, ...)

report_table.pp_fit <- function(x, ...) by_report_method("report_table", x, ...)

report_effectsize.pp_fit <- function(x, ...) by_report_method("report_effectsize", x, ...)

report_info.pp_fit <- function(x, ...) by_report_method("report_info", x, ...)

report_intercept.pp_fit <- function(x, ...) by_report_method("report_intercept", x, ...)

report_model.pp_fit <- function(x, ...) by_report_method("report_model", x, ...)

report_parameters.pp_fit <- function(x, ...) by_report_method("report_parameters", x, ...)

report_performance.pp_fit <- function(x, ...) by_report_method("report_performance", x, ...)

report_random.pp_fit <- function(x, ...) by_report_method("report_random", x, ...)

report_statistics.pp_fit <- function(x, ...) by_report_method("report_statistics", x, ...)
