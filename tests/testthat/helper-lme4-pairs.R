# Fits of one model by this package and by lme4.

lmm_pair <- function(formula = Reaction ~ Days + (Days | Subject), REML = TRUE) {
  # Tight, as lme4 stops where the criterion is flat to 1e-8.
  control <- lme4::lmerControl(
    optCtrl = list(ftol_abs = 1e-14, xtol_abs = 1e-12, ftol_rel = 1e-15, xtol_rel = 1e-12)
  )
  list(
    ours = lmm(formula, sleepstudy, REML = REML),
    lme4 = lme4::lmer(formula, sleepstudy, REML = REML, control = control)
  )
}
