# The programs compared: how each fits a case, refits it, and what it says of its fit. Every call is
# what a user types: formula and data, all else at its default.

bench_engines <- function() {
  list(
    partialpool = list(
      fit = function(case, data) partialpool::lmm(case$formula, data, REML = case$REML),
      refit = function(fit, y) partialpool::refit(fit, y),
      criterion = function(fit) fit$criterion,
      evaluations = function(fit) fit$convergence$evaluations
    ),
    lme4 = list(
      fit = function(case, data) {
        suppressMessages(suppressWarnings(lme4::lmer(case$formula, data, REML = case$REML)))
      },
      refit = function(fit, y) lme4::refit(fit, newresp = y),
      criterion = function(fit) {
        if (lme4::isREML(fit)) lme4::REMLcrit(fit) else -2 * as.numeric(stats::logLik(fit))
      },
      evaluations = function(fit) fit@optinfo$feval
    ),
    glmmTMB = list(
      fit = function(case, data) {
        suppressWarnings(glmmTMB::glmmTMB(case$formula, data, REML = case$REML))
      },
      criterion = function(fit) -2 * as.numeric(stats::logLik(fit)),
      evaluations = function(fit) fit$fit$evaluations[["function"]]
    )
  )
}
