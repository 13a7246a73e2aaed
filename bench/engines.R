# The programs compared: the package each loads, how it fits a case, refits it, and what it says of
# its fit. Every call is what a user types: formula and data, all else at its default. Beside that,
# for the cases of `only`, glmer() at its fastest: without the derivatives at the end, and by the
# quicker optimiser. `patience`: how many times the limit of seconds a program is allowed.

bench_engines <- function() {
  lme4 <- list(
    package = "lme4", patience = 4,
    fit = function(case, data) suppressMessages(suppressWarnings(lme4_fit(case, data))),
    refit = function(fit, y) lme4::refit(fit, newresp = y),
    criterion = function(fit) {
      if (lme4::isREML(fit)) lme4::REMLcrit(fit) else -2 * as.numeric(stats::logLik(fit))
    },
    # Of both stages of the search
    evaluations = function(fit) sum(unlist(fit@optinfo$feval))
  )
  fastest <- lme4
  fastest$only <- "generalised"
  fastest$fit <- function(case, data) {
    control <- lme4::glmerControl(optimizer = "nloptwrap", calc.derivs = FALSE)
    suppressMessages(suppressWarnings(lme4_fit(case, data, control = control)))
  }
  list(
    partialpool = list(
      package = "partialpool", patience = 1,
      fit = function(case, data) {
        if (is.null(case$family)) {
          return(partialpool::lmm(case$formula, data, REML = case$REML))
        }
        suppressMessages(partialpool::glmm(case$formula, data, case$family))
      },
      refit = function(fit, y) partialpool::refit(fit, y),
      criterion = function(fit) fit$criterion,
      evaluations = function(fit) fit$convergence$evaluations
    ),
    lme4 = lme4,
    lme4_fastest = fastest,
    glmmTMB = list(
      package = "glmmTMB", patience = 1,
      fit = function(case, data) {
        family <- if (is.null(case$family)) stats::gaussian() else case$family
        if (is.character(family)) family <- getExportedValue("glmmTMB", family)()
        suppressWarnings(
          glmmTMB::glmmTMB(case$formula, data, family = family, REML = isTRUE(case$REML))
        )
      },
      criterion = function(fit) -2 * as.numeric(stats::logLik(fit)),
      evaluations = function(fit) fit$fit$evaluations[["function"]]
    )
  )
}

lme4_fit <- function(case, data, control = lme4::glmerControl()) {
  if (is.null(case$family)) {
    return(lme4::lmer(case$formula, data, REML = case$REML))
  }
  if (identical(case$family, "nbinom2")) {
    # It evaluates its arguments again where it was called from
    return(eval(bquote(lme4::glmer.nb(case$formula, data, control = .(control)))))
  }
  lme4::glmer(case$formula, data, case$family, control = control)
}
