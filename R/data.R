#' Reaction times under sleep restriction
#'
#' Average reaction times of 18 long-distance lorry drivers who were allowed three hours in bed a
#' night, measured on ten consecutive days of a laboratory study of sleep. Days 0 and 1 were spent
#' on adaptation and training, day 2 is the baseline, and sleep was restricted from the night that
#' followed it. Same contents as the data set of this name in 'lme4'.
#'
#' @format A data frame with 180 rows (10 a subject, balanced) and 3 columns:
#' \describe{
#'   \item{Reaction}{average reaction time in milliseconds, over a series of tests on that day}
#'   \item{Days}{day of the study, 0 to 9}
#'   \item{Subject}{factor with 18 levels, the subject's number}
#' }
#' @source Belenky, G., Wesensten, N. J., Thorne, D. R., Thomas, M. L., Sing, H. C., Redmond, D. P.,
#'   Russo, M. B. and Balkin, T. J. (2003) Patterns of performance degradation and restoration
#'   during sleep restriction and subsequent recovery: a sleep dose-response study. *Journal of
#'   Sleep Research* **12**, 1-12. \doi{10.1046/j.1365-2869.2003.00337.x}
#' @examples
#' lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
"sleepstudy"

#' Yield of dyestuff by batch
#'
#' Two small balanced one-way layouts: five preparations from each of six batches. In `Dyestuff`
#' the batches of an intermediate product differ in the yield of the dye that is made of them. In
#' `Dyestuff2`, drawn by Box and Tiao to show the difficulty, the means of the batches vary less
#' than the variation within them leads to expect, and the estimated variance between batches is
#' zero. Same contents as the data sets of these names in 'lme4'.
#'
#' @format Data frames with 30 rows and 2 columns:
#' \describe{
#'   \item{Batch}{factor with 6 levels, A to F}
#'   \item{Yield}{yield in grams of standard colour; in `Dyestuff2` a simulated value without unit}
#' }
#' @source Davies, O. L. and Goldsmith, P. L. (editors, 1972) *Statistical Methods in Research and
#'   Production*, 4th edition, section 6.4. Oliver and Boyd, Edinburgh.
#'
#'   Box, G. E. P. and Tiao, G. C. (1973) *Bayesian Inference in Statistical Analysis*, section
#'   5.1.2. Addison-Wesley, Reading.
#' @examples
#' lmm(Yield ~ 1 + (1 | Batch), Dyestuff)
#'
#' # A variance of zero is a result
#' is_singular(lmm(Yield ~ 1 + (1 | Batch), Dyestuff2))
"Dyestuff"

#' @rdname Dyestuff
"Dyestuff2"

#' Assay of penicillin on agar plates
#'
#' Six samples of penicillin, each put once on every one of 24 plates: the diameter of the zone in
#' which the growth of the organism on the plate is inhibited. Plates and samples are completely
#' crossed. Same contents as the data set of this name in 'lme4'.
#'
#' @format A data frame with 144 rows and 3 columns:
#' \describe{
#'   \item{diameter}{diameter of the zone of inhibition in millimetres}
#'   \item{plate}{factor with 24 levels, a to x}
#'   \item{sample}{factor with 6 levels, A to F}
#' }
#' @source Davies, O. L. and Goldsmith, P. L. (editors, 1972) *Statistical Methods in Research and
#'   Production*, 4th edition, section 6.6. Oliver and Boyd, Edinburgh.
#' @examples
#' lmm(diameter ~ 1 + (1 | plate) + (1 | sample), Penicillin)
"Penicillin"

#' Strength of a chemical paste by batch and cask
#'
#' Three casks were taken from each of ten delivered batches of a chemical paste, and the contents
#' of each cask were tested twice. Casks are nested in batches: cask a of batch A has nothing in
#' common with cask a of batch B. Same contents as the data set of this name in 'lme4'.
#'
#' @format A data frame with 60 rows and 4 columns:
#' \describe{
#'   \item{strength}{strength of the paste, in the unit of the source}
#'   \item{batch}{factor with 10 levels, A to J}
#'   \item{cask}{factor with 3 levels, a to c, meaningful only within a batch}
#'   \item{sample}{factor with 30 levels, the cask with its batch, A:a to J:c}
#' }
#' @source Davies, O. L. and Goldsmith, P. L. (editors, 1972) *Statistical Methods in Research and
#'   Production*, 4th edition, section 6.5. Oliver and Boyd, Edinburgh.
#' @examples
#' lmm(strength ~ 1 + (1 | batch / cask), Pastes)
"Pastes"

#' Breaking angle of chocolate cakes
#'
#' A split-plot experiment: in each of 15 replicates three batches of batter were mixed, one by each
#' recipe, and divided into six cakes that were baked at six temperatures. The response is the angle
#' at which a slice of the cake broke when it was bent. Same contents as the data set of this name
#' in 'lme4'.
#'
#' @format A data frame with 270 rows and 5 columns:
#' \describe{
#'   \item{replicate}{factor with 15 levels, 1 to 15}
#'   \item{recipe}{factor with 3 levels, A to C}
#'   \item{temperature}{ordered factor of the baking temperature in degrees Fahrenheit, 175 to 225
#'     in steps of 10}
#'   \item{angle}{breaking angle in degrees}
#'   \item{temp}{baking temperature in degrees Fahrenheit as a number}
#' }
#' @source Cook, F. E. (1938) *Chocolate cake: I. Optimum baking temperature*. Master's thesis, Iowa
#'   State College.
#'
#'   Cochran, W. G. and Cox, G. M. (1957) *Experimental Designs*, 2nd edition, chapter 7. Wiley, New
#'   York.
#' @examples
#' lmm(angle ~ recipe * temperature + (1 | recipe:replicate), cake)
"cake"

#' Contagious bovine pleuropneumonia in herds of zebu cattle
#'
#' New serological cases of the disease in 15 commercial herds of the Ethiopian highlands, followed
#' over four periods. Blood samples were taken from all animals of a herd every quarter. Same
#' contents as the data set of this name in 'lme4'.
#'
#' @format A data frame with 56 rows and 4 columns:
#' \describe{
#'   \item{herd}{factor with 15 levels, 1 to 15}
#'   \item{incidence}{number of new cases in the herd in the period}
#'   \item{size}{number of animals in the herd at the beginning of the period}
#'   \item{period}{factor with 4 levels, 1 to 4}
#' }
#' @source Lesnoff, M., Laval, G., Bonnet, P., Abdicho, S., Workalemahu, A., Kifle, D., Peyraud, A.,
#'   Lancelot, R. and Thiaucourt, F. (2004) Within-herd spread of contagious bovine pleuropneumonia
#'   in Ethiopian highlands. *Preventive Veterinary Medicine* **64**, 27-40.
#'   \doi{10.1016/j.prevetmed.2004.03.005}
#' @examples
#' glmm(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial())
"cbpp"

#' Ticks on red grouse chicks
#'
#' Numbers of ticks counted on the heads of red grouse chicks on a Scottish moor in three years.
#' Chicks are members of a brood, and broods were caught at locations of a known altitude: counts
#' that vary more than a Poisson distribution, with three levels of grouping. Same contents as the
#' data set of this name in 'lme4'.
#'
#' @format A data frame with 403 rows, one a chick, and 7 columns:
#' \describe{
#'   \item{INDEX}{factor with 403 levels, the chick}
#'   \item{TICKS}{number of ticks counted}
#'   \item{BROOD}{factor with 118 levels, the brood}
#'   \item{HEIGHT}{height above sea level in metres}
#'   \item{YEAR}{factor with 3 levels, the year: 95, 96, 97 (1995 to 1997)}
#'   \item{LOCATION}{factor with 63 levels, the location in the moor}
#'   \item{cHEIGHT}{`HEIGHT` minus its mean}
#' }
#' @source Elston, D. A., Moss, R., Boulinier, T., Arrowsmith, C. and Lambin, X. (2001) Analysis of
#'   aggregation, a worked example: numbers of ticks on red grouse chicks. *Parasitology* **122**,
#'   563-569. \doi{10.1017/S0031182001007740}
#' @examples
#' glmm(TICKS ~ YEAR + cHEIGHT + (1 | BROOD) + (1 | LOCATION), grouseticks, nbinom2())
"grouseticks"

#' Evaluations of lectures by students
#'
#' Marks that students of the ETH Zurich gave to lectures, made anonymous. Students and lecturers
#' are partly crossed, and both are many: a test of what a mixed-model program costs. Same contents
#' as the data set of this name in 'lme4'.
#'
#' @format A data frame with 73,421 rows, one a rating, and 7 columns:
#' \describe{
#'   \item{s}{factor with 2,972 levels, the student}
#'   \item{d}{factor with 1,128 levels, the lecturer}
#'   \item{studage}{ordered factor, the semester that the student has reached: 2, 4, 6, 8}
#'   \item{lectage}{ordered factor with 6 levels, how many semesters back the lecture was}
#'   \item{service}{factor, 1 if the lecture was given for another department than the
#'     lecturer's own, else 0}
#'   \item{dept}{factor with 14 levels, the department of the lecture}
#'   \item{y}{mark from 1 (poor) to 5 (very good)}
#' }
#' @source Faculty of the ETH Zurich, distributed with the R package 'lme4' (GPL >= 2).
#' @examples
#' some <- subset(InstEval, as.integer(d) <= 60)
#' lmm(y ~ service + (1 | s) + (1 | d), some)
"InstEval"

#' Demonstration data of FiNN's mixed model
#'
#' The 100,000 simulated rows with which the documentation of the Python package 'FiNN' shows its
#' mixed-model analysis: a response, two categorical and one continuous predictor, and a grouping
#' factor with another nested in it. The groups were shuffled, so that the true variances between
#' them are zero. Numbers are rounded to eight decimals. All columns are numbers, as they are in the
#' original: make factors of the categorical ones.
#'
#' @format A data frame with 100,000 rows and 6 columns, all without unit:
#' \describe{
#'   \item{measured_variable}{response; normal, mean 0 and SD 3 in the first half of the rows, mean
#'     1 and SD 2 in the second}
#'   \item{categorical_factor_A}{0 or 1; 1 with probability 0.1 in the first half, 0.9 in the
#'     second}
#'   \item{categorical_factor_B}{-2 or 0 with equal probability}
#'   \item{continous_factor_A}{normal with SD 1, mean 0 in the first half, 0.25 in the second (the
#'     spelling is the original's)}
#'   \item{random_effect_A}{group, 0 to 19, 5,000 rows each}
#'   \item{nested_random_effect_A}{subgroup, 0 or 1, 50,000 rows each}
#' }
#' @source Simulated; the draws of the page "Generalized linear mixed model" of the documentation
#'   of 'FiNN', with NumPy's generator and seed 0.
#' @examples
#' data <- finn_demo
#' categorical <- setdiff(names(data), c("measured_variable", "continous_factor_A"))
#' data[categorical] <- lapply(data[categorical], factor)
#' lmm(
#'   measured_variable ~ categorical_factor_A * continous_factor_A + categorical_factor_B +
#'     (1 | random_effect_A / nested_random_effect_A),
#'   data
#' )
#' @docType data
#' @name finn_demo
#' @usage finn_demo
#' @keywords datasets
NULL
